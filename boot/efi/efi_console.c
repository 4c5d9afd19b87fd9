/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/efi/efi_console.h"

#include "boot/loader_log.h"
#include "vmm/base/format.h"
#include "vmm/base/log.h"
#include "vmm/base/types.h"

#include <stdarg.h>
#include <string.h>

#define LINE_MAX   256
#define POLL_US    50000U
#define POLLS_IN_S (1000000U / POLL_US)

/* UEFI 2.10, appendix D. */
static const struct {
    EFI_STATUS status;
    const char *name;
} status_names[] = {
    {EFI_LOAD_ERROR,           "load error"          },
    {EFI_INVALID_PARAMETER,    "invalid parameter"   },
    {EFI_UNSUPPORTED,          "unsupported"         },
    {EFI_BAD_BUFFER_SIZE,      "bad buffer size"     },
    {EFI_BUFFER_TOO_SMALL,     "buffer too small"    },
    {EFI_NOT_READY,            "not ready"           },
    {EFI_DEVICE_ERROR,         "device error"        },
    {EFI_WRITE_PROTECTED,      "write protected"     },
    {EFI_OUT_OF_RESOURCES,     "out of resources"    },
    {EFI_VOLUME_CORRUPTED,     "volume corrupted"    },
    {EFI_VOLUME_FULL,          "volume full"         },
    {EFI_NO_MEDIA,             "no media"            },
    {EFI_MEDIA_CHANGED,        "media changed"       },
    {EFI_NOT_FOUND,            "not found"           },
    {EFI_ACCESS_DENIED,        "access denied"       },
    {EFI_NO_RESPONSE,          "no response"         },
    {EFI_NO_MAPPING,           "no mapping"          },
    {EFI_TIMEOUT,              "timeout"             },
    {EFI_NOT_STARTED,          "not started"         },
    {EFI_ALREADY_STARTED,      "already started"     },
    {EFI_ABORTED,              "aborted"             },
    {EFI_PROTOCOL_ERROR,       "protocol error"      },
    {EFI_INCOMPATIBLE_VERSION, "incompatible version"},
    {EFI_SECURITY_VIOLATION,   "security violation"  },
    {EFI_CRC_ERROR,            "CRC error"           },
    {EFI_END_OF_FILE,          "end of file"         },
};

static size_t progress_length;

static const char *console_status_name(EFI_STATUS status)
{
    for (size_t i = 0; i < ARRAY_SIZE(status_names); i++) {
        if (status_names[i].status == status) {
            return status_names[i].name;
        }
    }
    return "unknown status";
}

/* Write TEXT to the firmware's console, if it has one, a newline as it wants it. */
static void text_write(const char *text)
{
    CHAR16 wide[2 * LINE_MAX];
    size_t used = 0;

    for (; *text != '\0' && used + 3 < ARRAY_SIZE(wide); text++) {
        if (*text == '\n') {
            wide[used++] = '\r';
        }
        wide[used++] = (unsigned char)*text;
    }
    wide[used] = 0;
    if (efi_system->ConOut != NULL) {
        efi_system->ConOut->OutputString(efi_system->ConOut, wide);
    }
}

/* The line lies over what console_progress() left of its own. */
static void progress_clear(void)
{
    char blank[LINE_MAX];

    if (progress_length > 0) {
        memset(blank, ' ', progress_length);
        blank[progress_length] = '\0';
        text_write("\r");
        text_write(blank);
        text_write("\r");
        progress_length = 0;
    }
}

void console_line(const char *line)
{
    progress_clear();
    text_write(line);
    text_write("\n");
}

EFI_STATUS console_fail(EFI_STATUS status, const char *fmt, ...)
{
    char line[LINE_MAX];
    va_list args;

    va_start(args, fmt);
    format_args(line, sizeof(line), fmt, args);
    va_end(args);
    log_info("portolan: %s: %s (0x%lx)", line, console_status_name(status), status);
    return status;
}

void console_progress(const char *fmt, ...)
{
    char line[LINE_MAX];
    va_list args;

    va_start(args, fmt);
    format_args(line, sizeof(line), fmt, args);
    va_end(args);
    progress_clear();
    text_write(line);
    progress_length = strlen(line);
}

void console_wait_for_key(unsigned seconds)
{
    SIMPLE_INPUT_INTERFACE *input = efi_system->ConIn;
    EFI_INPUT_KEY key;

    if (input != NULL) {
        input->Reset(input, FALSE); /* what was typed earlier is no answer */
    }
    for (unsigned polls = 0; polls < seconds * POLLS_IN_S; polls++) {
        if (input != NULL && input->ReadKeyStroke(input, &key) == EFI_SUCCESS) {
            return;
        }
        efi_boot->Stall(POLL_US);
    }
}
