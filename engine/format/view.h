/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file view of records: each record's value, then one newline. This framing is fixed for ever.
 * A null value is an empty line. Control batches have no view: do not come here with one.
 */
#ifndef FORMAT_VIEW_H
#define FORMAT_VIEW_H

#include "record.h"

/*
 * Render on from where `iterator` stands. `*skip` bytes of what would come next are passed over
 * first (the reader begins in the middle of a record). Whole records are consumed from the iterator
 * as their last byte is rendered; `*skip` tells on return how much of the record that the iterator
 * stands before was rendered already (or, at the end of the records, what is left to be passed over
 * in what follows them). Returns bytes put into `to`: fewer than `size` only when the records are
 * at their end. -EBADMSG: what stands in `to` and `*skip` then is not defined.
 */
ssize_t view_render(struct record_iterator *iterator, uint64_t *skip, void *to, size_t size);

/*
 * Pass over `bytes` of the view, record by record, and leave in `*ret_skip` what is left: bytes of
 * the record that the iterator stands before, or beyond the last record. -EBADMSG.
 */
int view_skip(struct record_iterator *iterator, uint64_t bytes, uint64_t *ret_skip);

#endif
