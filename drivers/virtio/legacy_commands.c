/* SPDX-License-Identifier: BSD-2-Clause */
#include "drivers/virtio/legacy_commands.h"

#define READ_DATA_SIZE 8U /* the offset, padded: virtio 1.3, 2.12.1 */

/* COMMAND reads a register: its data is the offset, one byte. */
static enum status read_register(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    const uint8_t data[READ_DATA_SIZE] = {*(const uint8_t *)command->data};
    struct virtio_admin_command padded = *command;

    padded.data = data;
    padded.data_size = sizeof(data);
    enum status status = virtio_admin_execute(admin, &padded);

    command->status = padded.status;
    command->qualifier = padded.qualifier;
    command->result_length = padded.result_length;
    if (status == STATUS_OK && command->result_length != command->result_size) {
        return STATUS_NOTE(STATUS_DEVICE);
    }
    return status;
}

enum status virtio_legacy_execute(struct virtio_admin *admin, struct virtio_admin_command *command)
{
    if (command->opcode != VIRTIO_ADMIN_LEGACY_COMMON_READ &&
        command->opcode != VIRTIO_ADMIN_LEGACY_DEVICE_READ) {
        return virtio_admin_execute(admin, command);
    }
    if (command->data_size != 1) {
        return STATUS_NOTE(STATUS_INVALID);
    }
    return read_register(admin, command);
}
