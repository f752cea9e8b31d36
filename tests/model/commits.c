/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets that groups commit, for any record or the log's end. What is committed is synced. */
#include "run.h"

static const char *const names[GROUPS] = {"a", "another group", ""};

void forget_commits(struct run *run)
{
    for (int i = 0; i < GROUPS; i++)
        run->committed[i] = -1;
}

static void commit(struct run *run, uint32_t group)
{
    struct fixture *f = &run->fixture;
    int64_t offset = below(run, (uint32_t)run->model.count + 1);
    bool is_beyond = below(run, 10) == 0;
    struct beck_offset_commit commit = {
        .group = names[group],
        .group_size = strlen(names[group]),
        .topic = "t",
        .offset = is_beyond ? (int64_t)run->model.count + 1 : offset,
        .leader_epoch = -1,
        .metadata = run->buffer,
        .metadata_size = (size_t)group * 100,
        .expire_ms = -1,
    };
    int r = beck_offsets_commit(f->store, &commit, 1, &f->error);
    if (r != !is_beyond || commit.result != (is_beyond ? -ERANGE : 0))
        differs(run, "%d (%d) for offset %" PRId64 " of %zu", r, commit.result, commit.offset,
                run->model.count);
    if (is_beyond)
        return;
    run->committed[group] = offset;
    if (offset > run->model.synced)
        model_synced(&run->model);
}

static void forget(struct run *run, uint32_t group)
{
    struct fixture *f = &run->fixture;
    struct beck_offset_delete gone = {.topic = "t"};
    check(run,
          beck_offsets_delete(f->store, names[group], strlen(names[group]), &gone, 1, &f->error));
    run->committed[group] = -1;
}

static void compare(struct run *run, uint32_t group)
{
    static struct beck_offset offset;
    struct fixture *f = &run->fixture;
    size_t size = strlen(names[group]);
    int64_t due = run->committed[group];
    int r = beck_offset_fetch(f->store, names[group], size, "t", 0, &offset, &f->error);
    check(run, r);
    if (r != (due >= 0) || (r == 1 && (offset.offset != due || offset.leader_epoch != -1 ||
                                       offset.metadata_size != (size_t)group * 100 ||
                                       memcmp(offset.metadata, run->buffer, offset.metadata_size))))
        differs(run, "group %u has committed %" PRId64 ", not %" PRId64, group,
                r == 1 ? offset.offset : -1, due);
    memset(&offset, 0, sizeof(offset));
    r = beck_offset_next(f->store, names[group], size, &offset, &f->error);
    if (r != (due >= 0) || (r == 1 && offset.offset != due))
        differs(run, "%d: the first offset of group %u is %" PRId64, r, group, offset.offset);
}

void commit_offsets(struct run *run)
{
    run->doing = "commit";
    if (below(run, 4) == 0)
        forget(run, below(run, GROUPS));
    else
        commit(run, below(run, GROUPS));
    for (uint32_t i = 0; i < GROUPS; i++)
        compare(run, i);
}
