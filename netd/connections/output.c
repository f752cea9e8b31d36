/* SPDX-License-Identifier: Apache-2.0
 *
 * send(2) for memory, sendfile(2) for files, in turns; see output.h. The writer's buffer begins
 * anew whenever everything was sent: the connection takes no more requests while too much is left,
 * so that this happens.
 */
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "beck.h"

void output_init(struct output *output)
{
    *output = (struct output){.sent = 0};
    kafka_writer_init(&output->writer);
}

static void release(struct kafka_attachment *attachment)
{
    beck_range_release(attachment->owner);
    free(attachment->owner);
    attachment->owner = NULL;
}

void output_done(struct output *output)
{
    for (size_t i = output->attachment; i < output->writer.attachments_count; i++)
        release(&output->writer.attachments[i]);
    kafka_writer_done(&output->writer);
    *output = (struct output){.sent = 0};
}

void output_shrink(struct output *output)
{
    if (!output_empty(output) || output->writer.capacity == 0)
        return;
    kafka_writer_done(&output->writer);
    kafka_writer_init(&output->writer);
}

/* Up to the next attachment, or the end. Returns bytes or a negative errno. */
static ssize_t send_memory(struct output *output, int fd, size_t end, bool more)
{
    const uint8_t *data = output->writer.data + output->sent;
    ssize_t size = send(fd, data, end - output->sent, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (size < 0)
        return -errno;
    output->sent += (size_t)size;
    return size;
}

static ssize_t send_attachment(struct output *output, int fd)
{
    struct kafka_attachment *attachment = &output->writer.attachments[output->attachment];
    off_t position = (off_t)(attachment->position + output->attachment_sent);
    size_t left = attachment->size - output->attachment_sent;
    ssize_t size = sendfile(fd, attachment->fd, &position, left);
    if (size < 0)
        return -errno;
    if (size == 0)
        return -EIO; /* the file is shorter than the range: the frame cannot be finished */
    output->attachment_sent += (uint32_t)size;
    if (output->attachment_sent == attachment->size) {
        release(attachment);
        output->attachment++;
        output->attachment_sent = 0;
    }
    return size;
}

int output_send(struct output *output, int fd, size_t budget)
{
    struct kafka_writer *writer = &output->writer;
    size_t total = 0;
    while (total < budget) {
        bool has_attachment = output->attachment < writer->attachments_count;
        size_t end = has_attachment ? writer->attachments[output->attachment].offset : writer->size;
        ssize_t size;
        if (output->sent < end) {
            size = send_memory(output, fd, end, has_attachment);
        } else if (has_attachment) {
            size = send_attachment(output, fd);
        } else {
            kafka_writer_reset(writer);
            output->sent = output->attachment = 0;
            return 1;
        }
        if (size == -EAGAIN || size == -EINTR)
            return 0;
        if (size < 0)
            return (int)size;
        total += (size_t)size;
        output->total_bytes += (size_t)size;
    }
    return 0;
}
