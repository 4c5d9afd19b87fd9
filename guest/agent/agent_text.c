/* SPDX-License-Identifier: BSD-2-Clause */
/* Hosts and ports, and words of a line. */
#include "guest/agent/agent.h"

#include <stdlib.h>
#include <string.h>

bool agent_split_host(const char *text, char *host, size_t size, const char **port)
{
    const char *colon = strrchr(text, ':'), *end = colon, *from = text;

    /* Of an IPv6 address in brackets the last colon may be its own. */
    if (colon == NULL || strchr(colon, ']') != NULL) {
        end = text + strlen(text);
        colon = NULL;
    }
    *port = colon != NULL && colon[1] != '\0' ? colon + 1 : NULL;
    if (*from == '[' && end > from && end[-1] == ']') {
        from++;
        end--;
    }
    if ((size_t)(end - from) >= size) {
        return false;
    }
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = '\0';
    return true;
}

void agent_clean_text(char *text)
{
    for (; *text != '\0'; text++) {
        *text = (char)(*text < ' ' || *text > '~' ? '?' : *text);
    }
}

bool agent_find_value(const char *line, const char *key, char *value, size_t size)
{
    size_t length = strlen(key);

    for (const char *at = line; *at != '\0'; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strncmp(at, key, length) == 0 && at[length] == '=') {
            const char *from = at + length + 1;
            size_t bytes = strcspn(from, " ");

            if (bytes >= size) {
                return false;
            }
            memcpy(value, from, bytes);
            value[bytes] = '\0';
            return true;
        }
    }
    return false;
}

uint64_t agent_find_number(const char *line, const char *key)
{
    char value[32];

    return agent_find_value(line, key, value, sizeof(value)) ? strtoull(value, NULL, 10) : 0;
}
