/* SPDX-License-Identifier: BSD-2-Clause */
/* QMP's commands. */
#include "guest/agent/incoming.h"
#include "guest/agent/move.h"
#include "guest/agent/qmp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERIC   "GenericError"
#define NOT_FOUND "CommandNotFound"
#define NO_DEVICE "DeviceNotFound"
#define ARGS_MAX  4U

enum arg_type { ARG_NONE, ARG_TEXT, ARG_NUMBER, ARG_BOOL, ARG_LIST };

struct arg {
    const char *name;
    enum arg_type type;
    bool optional;
};

/* A command that is being carried out. */
struct call {
    const struct command *command;
    const json_t *args;
    uint32_t tag; /* for the portal's answer */
    struct qmp_answer *answer;
};

struct command {
    const char *name;
    void (*run)(const struct call *call);
    struct arg arg[ARGS_MAX];
    const char *request; /* to the portal, for run_request() */
};

void qmp_fail(struct qmp_answer *answer, const char *error, const char *text, ...)
{
    va_list args;

    va_start(args, text);
    (void)vsnprintf(answer->text, sizeof(answer->text), text, args);
    va_end(args);
    agent_clean_text(answer->text); /* it may end within a character */
    answer->error = error;
}

/* ---- VMs ---- */

/* As QEMU's RunState. */
static const struct {
    const char *name;
    bool running;
} run_states[VM_STATES + 1] = {
    [VM_OFF] = {"shutdown",       false},
      [VM_STARTING] = {"prelaunch",      false},
    [VM_RUNNING] = {"running",        true },
      [VM_PAUSED] = {"paused",         false},
    [VM_MOVING] = {"running",        true },
      [VM_HANDED_OVER] = {"postmigrate",    false},
    [VM_INCOMING] = {"inmigrate",      false},
      [VM_READY] = {"inmigrate",      false},
    [VM_STOPPING] = {"shutdown",       false},
      [VM_STATES] = {"internal-error", false},
};

/* The VM stands still since the move's stop. */
static bool is_stopped(const struct vm_entry *vm)
{
    return move_is_under_way() && move.stopped && strcmp(move.vm.name, vm->name) == 0 &&
           vm->state != VM_HANDED_OVER;
}

static const char *run_state(const struct vm_entry *vm, bool *running)
{
    bool stopped = is_stopped(vm);

    *running = run_states[vm->state].running && !stopped;
    return stopped ? "finish-migrate" : run_states[vm->state].name;
}

/* The VM that is meant. NULL: there is none, and the answer says so. */
static struct vm_entry *find_vm(const struct call *call)
{
    const char *name = json_string_value(json_object_get(call->args, "vm"));
    struct vm_entry *vm = name != NULL ? vm_table_find(name) : vm_table_only();

    if (vm == NULL && name != NULL) {
        qmp_fail(call->answer, NO_DEVICE, "VM '%.60s' not found", name);
    } else if (vm == NULL) {
        qmp_fail(call->answer, GENERIC, "Parameter 'vm' is missing");
    }
    return vm;
}

static void query_status(const struct call *call)
{
    const struct vm_entry *vm = find_vm(call);
    bool running;

    if (vm != NULL) {
        const char *state = run_state(vm, &running);

        call->answer->value = json_pack("{sb,ss}", "running", running, "status", state);
    }
}

static void query_vms(const struct call *call)
{
    json_t *all = json_array();

    for (uint32_t i = 0; i < vm_table.count; i++) {
        const struct vm_entry *vm = &vm_table.vm[i];
        bool running;
        const char *state = run_state(vm, &running);

        (void)json_array_append_new(
            all,
            json_pack("{ss,ss,sb,ss,si,sI,si,sb,sb,sb}", "vm", vm->name, "status", state, "running",
                      running, "state", vm_state_name(vm->state), "cpus", (int)vm->cpus, "memory",
                      (json_int_t)vm->memory, "vfs", (int)vm->vfs, "migrate", vm->migrate,
                      "incoming", vm->incoming, "service", vm->service));
    }
    call->answer->value = all;
}

/* What is one request to the portal. */
static void run_request(const struct call *call)
{
    struct vm_entry *vm = find_vm(call);

    if (vm == NULL) {
        return;
    }
    if (portal_ask(PORTAL_ASKER_QMP, call->tag, "%s %s", call->command->request, vm->name)) {
        vm->stopping |= strcmp(call->command->request, "stop") == 0;
        vm->resetting |= strcmp(call->command->request, "reset") == 0;
        call->answer->waits = true;
    } else {
        qmp_fail(call->answer, GENERIC, "the portal takes no request");
    }
}

/* ---- Of the agent itself ---- */

json_t *qmp_version(void)
{
    int number[3] = {0};
    char *at = NULL;
    const char *from = PORTOLAN_VERSION;

    for (unsigned i = 0; i < ARRAY_SIZE(number); i++) {
        number[i] = (int)strtol(from, &at, 10);
        from = *at == '.' ? at + 1 : at;
    }
    return json_pack("{s{si,si,si},ss}", "qemu", "major", number[0], "minor", number[1], "micro",
                     number[2], "package", "Portolan " PORTOLAN_VERSION);
}

static void capabilities(const struct call *call)
{
    const json_t *enable = json_object_get(call->args, "enable");

    if (enable != NULL && json_array_size(enable) != 0) {
        qmp_fail(call->answer, GENERIC, "Capability '%.40s' not available",
                 json_is_string(json_array_get(enable, 0))
                     ? json_string_value(json_array_get(enable, 0))
                     : "?");
    }
}

static void query_version(const struct call *call)
{
    call->answer->value = qmp_version();
}

static void query_commands(const struct call *call);

/* ---- Moves ---- */

static void migrate(const struct call *call)
{
    const struct vm_entry *vm = find_vm(call);
    const char *why;

    if (vm == NULL) {
        return;
    }
    why = move_begin_source(vm->name, json_string_value(json_object_get(call->args, "uri")));
    if (why != NULL) {
        qmp_fail(call->answer, GENERIC, "%s", why);
    }
}

static void migrate_incoming(const struct call *call)
{
    const char *why = incoming_begin(json_string_value(json_object_get(call->args, "uri")));

    if (why != NULL) {
        qmp_fail(call->answer, GENERIC, "%s", why);
    }
}

/* As QEMU's: nothing under way is no error. */
static void migrate_cancel(const struct call *call)
{
    if (!move_cancel() && move_is_under_way()) {
        qmp_fail(call->answer, GENERIC, "the VM has been handed over: too late");
    }
}

static void set_parameters(const struct call *call)
{
    const json_t *bandwidth = json_object_get(call->args, "max-bandwidth");
    const json_t *downtime = json_object_get(call->args, "downtime-limit");
    const json_t *rounds = json_object_get(call->args, "x-portolan-max-rounds");

    if ((bandwidth != NULL && json_integer_value(bandwidth) < 0) ||
        (downtime != NULL &&
         (json_integer_value(downtime) < 0 || json_integer_value(downtime) > 2000000)) ||
        (rounds != NULL &&
         (json_integer_value(rounds) < 0 || json_integer_value(rounds) > MOVE_ROUNDS_MAX))) {
        qmp_fail(call->answer, GENERIC,
                 "Parameter is out of its range: max-bandwidth from 0 on, "
                 "downtime-limit from 0 to 2000000 milliseconds");
        return;
    }
    if (bandwidth != NULL) {
        agent_options.max_bandwidth = (uint64_t)json_integer_value(bandwidth);
    }
    if (downtime != NULL) {
        agent_options.downtime_limit = (uint32_t)json_integer_value(downtime);
    }
    if (rounds != NULL) {
        agent_options.max_rounds = (uint32_t)json_integer_value(rounds);
    }
}

static void query_parameters(const struct call *call)
{
    call->answer->value =
        json_pack("{sI,sI,sI}", "max-bandwidth", (json_int_t)agent_options.max_bandwidth,
                  "downtime-limit", (json_int_t)agent_options.downtime_limit,
                  "x-portolan-max-rounds", (json_int_t)agent_options.max_rounds);
}

static void query_migrate(const struct call *call)
{
    call->answer->value = qmp_query_migrate();
}

/* ---- The table ---- */

#define VM                   \
    {                        \
        "vm", ARG_TEXT, true \
    }
#define URI                    \
    {                          \
        "uri", ARG_TEXT, false \
    }

static const struct command commands[] = {
    {"qmp_capabilities",         capabilities,     {{"enable", ARG_LIST, true}}, NULL       },
    {"query-commands",           query_commands,   {{0}},                        NULL       },
    {"query-version",            query_version,    {{0}},                        NULL       },
    {"query-status",             query_status,     {VM},                         NULL       },
    {"x-portolan-query-vms",     query_vms,        {{0}},                        NULL       },
    {"stop",                     run_request,      {VM},                         "pause"    },
    {"cont",                     run_request,      {VM},                         "resume"   },
    {"system_reset",             run_request,      {VM},                         "reset"    },
    {"system_powerdown",         run_request,      {VM},                         "powerdown"},
    {"x-portolan-start",         run_request,      {VM},                         "start"    },
    {"x-portolan-stop",          run_request,      {VM},                         "stop"     },
    {"x-portolan-incoming",      run_request,      {VM},                         "incoming" },
    {"migrate",                  migrate,          {URI, VM},                    NULL       },
    {"migrate-incoming",         migrate_incoming, {URI},                        NULL       },
    {"migrate_cancel",           migrate_cancel,   {{0}},                        NULL       },
    {"migrate-set-parameters",
     set_parameters,                               {{"max-bandwidth", ARG_NUMBER, true},
      {"downtime-limit", ARG_NUMBER, true},
      {"x-portolan-max-rounds", ARG_NUMBER, true}},
     NULL                                                                                   },
    {"query-migrate-parameters", query_parameters, {{0}},                        NULL       },
    {"query-migrate",            query_migrate,    {{0}},                        NULL       },
};

static void query_commands(const struct call *call)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        (void)json_array_append_new(all, json_pack("{ss}", "name", commands[i].name));
    }
    call->answer->value = all;
}

/* ---- Checks, in QEMU's words ---- */

static bool is_of_type(const json_t *value, enum arg_type type)
{
    switch (type) {
    case ARG_TEXT:
        return json_is_string(value);
    case ARG_NUMBER:
        return json_is_integer(value);
    case ARG_BOOL:
        return json_is_boolean(value);
    case ARG_LIST:
        return json_is_array(value);
    case ARG_NONE:
        break;
    }
    return false;
}

static const char *const type_names[] = {"nothing", "string", "integer", "boolean", "array"};

static const struct arg *find_arg(const struct command *command, const char *name)
{
    for (unsigned i = 0; i < ARGS_MAX && command->arg[i].name != NULL; i++) {
        if (strcmp(command->arg[i].name, name) == 0) {
            return &command->arg[i];
        }
    }
    return NULL;
}

static bool check_args(const struct call *call)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)call->args, key, value)
    {
        const struct arg *arg = find_arg(call->command, key);

        if (arg == NULL) {
            qmp_fail(call->answer, GENERIC, "Parameter '%.60s' is unexpected", key);
            return false;
        }
        if (!is_of_type(value, arg->type)) {
            qmp_fail(call->answer, GENERIC, "Invalid parameter type for '%s', expected: %s", key,
                     type_names[arg->type]);
            return false;
        }
    }
    for (unsigned i = 0; i < ARGS_MAX && call->command->arg[i].name != NULL; i++) {
        const struct arg *arg = &call->command->arg[i];

        if (!arg->optional && json_object_get(call->args, arg->name) == NULL) {
            qmp_fail(call->answer, GENERIC, "Parameter '%s' is missing", arg->name);
            return false;
        }
    }
    return true;
}

/* The members of INPUT; NULL: it is no command. */
static const char *check_input(const json_t *input, struct qmp_answer *answer)
{
    const json_t *execute = json_object_get(input, "execute");
    const json_t *args = json_object_get(input, "arguments");
    const char *key;
    json_t *value;

    if (!json_is_object(input)) {
        qmp_fail(answer, GENERIC, "QMP input must be a JSON object");
        return NULL;
    }
    json_object_foreach((json_t *)(uintptr_t)input, key, value)
    {
        if (strcmp(key, "execute") != 0 && strcmp(key, "arguments") != 0 &&
            strcmp(key, "id") != 0) {
            qmp_fail(answer, GENERIC, "QMP input member '%.60s' is unexpected", key);
            return NULL;
        }
    }
    if (execute == NULL) {
        qmp_fail(answer, GENERIC, "QMP input lacks member 'execute'");
    } else if (!json_is_string(execute)) {
        qmp_fail(answer, GENERIC, "QMP input member 'execute' must be a string");
    } else if (args != NULL && !json_is_object(args)) {
        qmp_fail(answer, GENERIC, "QMP input member 'arguments' must be an object");
    } else {
        return json_string_value(execute);
    }
    return NULL;
}

void qmp_execute(const json_t *input, bool greeted, uint32_t tag, bool *negotiated,
                 struct qmp_answer *answer)
{
    const char *name = check_input(input, answer);
    const struct command *command = NULL;

    for (unsigned i = 0; name != NULL && i < ARRAY_SIZE(commands); i++) {
        if (strcmp(commands[i].name, name) == 0) {
            command = &commands[i];
        }
    }
    if (name == NULL) {
        return;
    }
    if (!greeted && (command == NULL || command->run != capabilities)) {
        qmp_fail(answer, NOT_FOUND, "Expecting capabilities negotiation with 'qmp_capabilities'");
        return;
    }
    if (command == NULL || (greeted && command->run == capabilities)) {
        qmp_fail(answer, NOT_FOUND,
                 command == NULL ? "The command %.60s has not been found"
                                 : "Capabilities negotiation is already complete, command '%.60s' "
                                   "ignored",
                 name);
        return;
    }
    const struct call call = {.command = command,
                              .args = json_object_get(input, "arguments"),
                              .tag = tag,
                              .answer = answer};

    if (check_args(&call)) {
        command->run(&call);
        *negotiated |= command->run == capabilities && answer->error == NULL;
    }
}
