/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout is that of LMDB 0.9 (mdb.c: MDB_meta, MDB_db, MDB_page, MDB_node), in the machine's
 * byte order. A read transaction that is open meanwhile keeps what it sees from being written over.
 */
#include "pages.h"

#include "check.h"
#include "cleanup.h"
#include "db.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_BYTES_MIN 512
#define PAGE_BYTES_MAX 65536
#define DEPTH_MAX      32 /* LMDB's */
#define NO_PAGE        UINT64_MAX
#define TICK_PAGES     1024
#define TRIES          100
#define UNWRITTEN_MAX  ((uint64_t)1 << 17) /* pages that LMDB changes in one transaction */

enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };
enum { NODE_BIG = 1, NODE_TREE = 2 };
enum { TREE_NUMBER_KEYS = 0x08, TREE_NO_FOLDER = 0x4000 };
enum { TREE_FREE, TREE_MAIN }; /* the first has the free pages, the second names the others */

struct tree {
    uint32_t unused; /* of the first one the size of pages */
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages;
    uint64_t leaf_pages;
    uint64_t overflow_pages;
    uint64_t entries;
    uint64_t root;
};

struct meta {
    uint32_t magic;
    uint32_t version;
    uint64_t address;
    uint64_t map_bytes;
    struct tree trees[2];
    uint64_t last_page;
    uint64_t txn;
};

struct head {
    uint64_t number;
    uint16_t unused;
    uint16_t flags;
    uint16_t lower; /* of what overflows, these two are the number of pages */
    uint16_t upper;
};

struct node {
    uint16_t low; /* of the value's size, or of a page number */
    uint16_t high;
    uint16_t flags; /* or page number */
    uint16_t key_bytes;
};

_Static_assert(sizeof(struct tree) == 48 && sizeof(struct meta) == 136, "LMDB's on 64 bits");
_Static_assert(sizeof(struct head) == 16 && sizeof(struct node) == 8, "LMDB's");

struct walk {
    const uint8_t *bytes;
    uint64_t pages;
    uint32_t page_bytes;
    struct meta meta;
    uint8_t *seen; /* a bit a page: it is in a tree, or free */
    uint64_t seen_count;
    uint8_t room[PAGE_BYTES_MAX / 2 / 8]; /* a bit for two bytes of a page: a node has them */
    struct tree found;                    /* the tree that is walked over */
    bool is_free_tree;
    void (*tick)(void *context);
    void *context;
    struct beck_error *error;
};

/* What the keys of a page have to be: from `from` on, and before `to`. NULL: anything. */
struct range {
    const MDB_val *from;
    const MDB_val *to;
};

static int wrong(const struct walk *walk, uint64_t page, const char *what)
{
    return report(walk->error, -EBADMSG, "page %" PRIu64 ": %s", page, what);
}

/* A page is in one place only. */
static int claim(struct walk *walk, uint64_t page, const char *what)
{
    if (page < 2 || page > walk->meta.last_page)
        return wrong(walk, page, "there is no such page, and something is said to be there");
    if (walk->seen[page / 8] & 1U << page % 8)
        return wrong(walk, page, what);
    walk->seen[page / 8] |= (uint8_t)(1U << page % 8);
    if (++walk->seen_count % TICK_PAGES == 0 && walk->tick)
        walk->tick(walk->context);
    return 0;
}

static const uint8_t *page_at(const struct walk *walk, uint64_t page)
{
    return walk->bytes + page * walk->page_bytes;
}

/* Have a page of a tree, with its head, which says what it is. */
static int take_page(struct walk *walk, uint64_t page, uint16_t flags, struct head *ret_head)
{
    int r = claim(walk, page, "it is in two places");
    if (r < 0)
        return r;
    if (page >= walk->pages)
        return wrong(walk, page, "the file ends before it");
    memcpy(ret_head, page_at(walk, page), sizeof(*ret_head));
    if (ret_head->number != page)
        return wrong(walk, page, "it says that it is another one");
    if (ret_head->flags != flags)
        return wrong(walk, page, "it is of another kind than it has to be");
    return 0;
}

static uint32_t value_bytes(const struct node *node)
{
    return node->low | (uint32_t)node->high << 16;
}

static uint64_t branch_page(const struct node *node)
{
    return value_bytes(node) | (uint64_t)node->flags << 32;
}

static const uint8_t *node_at(const uint8_t *page, uint16_t i, struct node *ret_node)
{
    uint16_t at;
    memcpy(&at, page + sizeof(struct head) + 2 * (size_t)i, sizeof(at));
    memcpy(ret_node, page + at, sizeof(*ret_node));
    return page + at + sizeof(*ret_node);
}

/* ---- one page ------------------------------------------------------------------------------ */

/* Note the room that a node takes in its page. */
static int take_room(struct walk *walk, uint64_t page, const struct head *head, uint16_t i,
                     uint32_t *used)
{
    const uint8_t *bytes = page_at(walk, page);
    struct node node;
    uint16_t at;
    memcpy(&at, bytes + sizeof(*head) + 2 * (size_t)i, sizeof(at));
    if (at % 2 != 0 || at < head->upper || at + sizeof(node) > walk->page_bytes)
        return wrong(walk, page, "a pair stands outside of its room");
    memcpy(&node, bytes + at, sizeof(node));
    uint64_t size = sizeof(node) + node.key_bytes;
    if (head->flags == PAGE_LEAF)
        size += node.flags & NODE_BIG ? sizeof(uint64_t) : value_bytes(&node);
    size += size % 2;
    if (size > walk->page_bytes - at)
        return wrong(walk, page, "a pair does not fit into it");
    for (uint32_t half = at / 2; half < (at + size) / 2; half++) {
        if (walk->room[half / 8] & 1U << half % 8)
            return wrong(walk, page, "two pairs stand at one place");
        walk->room[half / 8] |= (uint8_t)(1U << half % 8);
    }
    *used += (uint32_t)size;
    return 0;
}

/* The pairs fill the page from its end on, without gaps. */
static int check_room(struct walk *walk, uint64_t page, const struct head *head)
{
    uint16_t count = (uint16_t)((head->lower - sizeof(*head)) / 2);
    uint32_t used = 0;
    int r = 0;
    if (head->lower < sizeof(*head) || head->lower % 2 != 0 || head->upper < head->lower ||
        head->upper > walk->page_bytes || count == 0)
        return wrong(walk, page, "it says nothing of where its pairs are");
    memset(walk->room, 0, sizeof(walk->room));
    for (uint16_t i = 0; r == 0 && i < count; i++)
        r = take_room(walk, page, head, i, &used);
    if (r == 0 && used != walk->page_bytes - head->upper)
        return wrong(walk, page, "its pairs do not fill the room that they are said to have");
    return r;
}

static int compare(const struct walk *walk, const MDB_val *a, const MDB_val *b)
{
    if (walk->is_free_tree) {
        uint64_t left;
        uint64_t right;
        memcpy(&left, a->mv_data, sizeof(left));
        memcpy(&right, b->mv_data, sizeof(right));
        return (left > right) - (left < right);
    }
    size_t common = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    int compared = memcmp(a->mv_data, b->mv_data, common);
    return compared ? compared : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

/* Keys rise, and lie between those that led here. The first of a branch is not read by anybody. */
static int check_keys(const struct walk *walk, uint64_t page, const struct head *head,
                      const struct range *range)
{
    const uint8_t *bytes = page_at(walk, page);
    uint16_t count = (uint16_t)((head->lower - sizeof(*head)) / 2);
    MDB_val before = {0};
    for (uint16_t i = head->flags == PAGE_BRANCH; i < count; i++) {
        struct node node;
        const uint8_t *at = node_at(bytes, i, &node);
        MDB_val key = {.mv_size = node.key_bytes, .mv_data = (void *)(uintptr_t)at};
        if (walk->is_free_tree && key.mv_size != sizeof(uint64_t))
            return wrong(walk, page, "a key is no transaction's number");
        if (before.mv_data && compare(walk, &before, &key) >= 0)
            return wrong(walk, page, "its keys do not rise");
        if ((range->from && compare(walk, &key, range->from) < 0) ||
            (range->to && compare(walk, &key, range->to) >= 0))
            return wrong(walk, page, "a key of it belongs into another page");
        before = key;
    }
    return 0;
}

/* ---- trees --------------------------------------------------------------------------------- */

static int walk_page(struct walk *walk, uint64_t page, uint16_t depth, const struct range *range);

/* Pages that a value has by itself: as many as it needs, or more, where it was longer before. */
static int walk_overflow(struct walk *walk, uint64_t page, uint32_t size)
{
    uint64_t least =
        (sizeof(struct head) + (uint64_t)size + walk->page_bytes - 1) / walk->page_bytes;
    struct head head;
    uint32_t count;
    int r = take_page(walk, page, PAGE_OVERFLOW, &head);
    if (r < 0)
        return r;
    memcpy(&count, page_at(walk, page) + offsetof(struct head, lower), sizeof(count));
    if (count < least)
        return wrong(walk, page, "it is the first of fewer pages than its value needs");
    if (count > walk->pages - page)
        return wrong(walk, page, "the file ends before its value does");
    for (uint64_t i = 1; r == 0 && i < count; i++)
        r = claim(walk, page + i, "it is in two places");
    walk->found.overflow_pages += count;
    return r;
}

static int walk_leaf(struct walk *walk, uint64_t page, uint16_t count)
{
    const uint8_t *bytes = page_at(walk, page);
    bool is_main = !walk->is_free_tree && walk->found.flags == TREE_MAIN;
    int r = 0;
    for (uint16_t i = 0; r == 0 && i < count; i++) {
        struct node node;
        const uint8_t *value = node_at(bytes, i, &node) + node.key_bytes;
        uint64_t big;
        if (node.flags & ~(NODE_BIG | (is_main ? NODE_TREE : 0)) ||
            node.flags == (NODE_BIG | NODE_TREE) ||
            (node.flags == NODE_TREE && value_bytes(&node) != sizeof(struct tree)))
            return wrong(walk, page, "a pair is of an unknown kind");
        if (node.flags == NODE_BIG) {
            memcpy(&big, value, sizeof(big));
            r = walk_overflow(walk, big, value_bytes(&node));
        }
    }
    walk->found.leaf_pages++;
    walk->found.entries += count;
    return r;
}

static int walk_branch(struct walk *walk, uint64_t page, uint16_t count, uint16_t depth,
                       const struct range *range)
{
    const uint8_t *bytes = page_at(walk, page);
    MDB_val keys[2];
    struct node nodes[2];
    int r = 0;
    walk->found.branch_pages++;
    for (uint16_t i = 0; r == 0 && i < count; i++) {
        struct range below = *range;
        for (uint16_t k = 0; k < 2 && i + k < count; k++) {
            const uint8_t *at = node_at(bytes, (uint16_t)(i + k), &nodes[k]);
            keys[k] = (MDB_val){.mv_size = nodes[k].key_bytes, .mv_data = (void *)(uintptr_t)at};
        }
        if (i > 0)
            below.from = &keys[0];
        if (i + 1 < count)
            below.to = &keys[1];
        r = walk_page(walk, branch_page(&nodes[0]), (uint16_t)(depth - 1), &below);
    }
    return r;
}

/* A page with so many levels from it down. */
static int walk_page(struct walk *walk, uint64_t page, uint16_t depth, const struct range *range)
{
    struct head head;
    int r = take_page(walk, page, depth > 1 ? PAGE_BRANCH : PAGE_LEAF, &head);
    if (r == 0)
        r = check_room(walk, page, &head);
    if (r == 0)
        r = check_keys(walk, page, &head, range);
    if (r < 0)
        return r;
    uint16_t count = (uint16_t)((head.lower - sizeof(head)) / 2);
    return depth > 1 ? walk_branch(walk, page, count, depth, range) : walk_leaf(walk, page, count);
}

/* A tree whose record stands in a page; `which` is TREE_FREE, TREE_MAIN, or another one. */
static int walk_tree(struct walk *walk, const struct tree *tree, unsigned which, uint64_t page)
{
    const struct range all = {NULL, NULL};
    uint16_t flags = which == TREE_FREE ? TREE_NUMBER_KEYS : 0;
    uint16_t ignored = which == TREE_FREE ? TREE_NO_FOLDER : 0;
    int r = 0;
    if ((tree->flags & ~ignored) != flags || (which != TREE_FREE && tree->unused != 0) ||
        tree->depth > DEPTH_MAX || (tree->depth == 0) != (tree->root == NO_PAGE))
        return wrong(walk, page, "what it says of a tree cannot be");
    walk->is_free_tree = which == TREE_FREE;
    walk->found = (struct tree){.flags = (uint16_t)which};
    if (tree->depth > 0)
        r = walk_page(walk, tree->root, tree->depth, &all);
    if (r == 0 && (walk->found.branch_pages != tree->branch_pages ||
                   walk->found.leaf_pages != tree->leaf_pages ||
                   walk->found.overflow_pages != tree->overflow_pages ||
                   walk->found.entries != tree->entries))
        return wrong(walk, page, "a tree has not as many pages and pairs as it says");
    return r;
}

/* Call `visit` with each pair of a tree that was walked over already. */
static int each_pair(struct walk *walk, uint64_t page, uint16_t depth,
                     int (*visit)(struct walk *walk, uint64_t page, const struct node *node,
                                  const uint8_t *value))
{
    const uint8_t *bytes = page_at(walk, page);
    struct head head;
    int r = 0;
    memcpy(&head, bytes, sizeof(head));
    for (uint16_t i = 0; r == 0 && i < (head.lower - sizeof(head)) / 2; i++) {
        struct node node;
        const uint8_t *key = node_at(bytes, i, &node);
        r = depth > 1 ? each_pair(walk, branch_page(&node), (uint16_t)(depth - 1), visit)
                      : visit(walk, page, &node, key + node.key_bytes);
    }
    return r;
}

static int visit_named(struct walk *walk, uint64_t page, const struct node *node,
                       const uint8_t *value)
{
    struct tree tree;
    if (node->flags != NODE_TREE)
        return wrong(walk, page, "a pair is in no database");
    memcpy(&tree, value, sizeof(tree));
    return walk_tree(walk, &tree, TREE_MAIN + 1, page);
}

/* Pages that are free since a transaction: a count, then that many numbers, falling. */
static int visit_free(struct walk *walk, uint64_t page, const struct node *node,
                      const uint8_t *value)
{
    uint64_t number;
    uint64_t count;
    uint64_t before = UINT64_MAX;
    int r = 0;
    memcpy(&number, value - sizeof(number), sizeof(number));
    if (number > walk->meta.txn)
        return wrong(walk, page, "pages are free since a transaction that is still to come");
    if (node->flags == NODE_BIG) {
        memcpy(&page, value, sizeof(page));
        value = page_at(walk, page) + sizeof(struct head);
    }
    if (value_bytes(node) % sizeof(count) != 0 || value_bytes(node) == 0)
        return wrong(walk, page, "a list of free pages is none");
    memcpy(&count, value, sizeof(count));
    if (count >= value_bytes(node) / sizeof(count))
        return wrong(walk, page, "a list of free pages is shorter than it says");
    for (uint64_t i = 1; r == 0 && i <= count; i++) {
        memcpy(&number, value + i * sizeof(number), sizeof(number));
        if (number >= before)
            return wrong(walk, page, "a list of free pages does not fall");
        before = number;
        r = claim(walk, number, "it is said to be free, and is not, or twice");
    }
    return r;
}

static int walk_all(struct walk *walk)
{
    const struct tree *main_tree = &walk->meta.trees[TREE_MAIN];
    const struct tree *free_tree = &walk->meta.trees[TREE_FREE];
    uint64_t page = walk->meta.txn & 1;
    int r = walk_tree(walk, main_tree, TREE_MAIN, page);
    if (r == 0)
        r = walk_tree(walk, free_tree, TREE_FREE, page);
    walk->is_free_tree = false;
    if (r == 0 && main_tree->depth > 0)
        r = each_pair(walk, main_tree->root, main_tree->depth, visit_named);
    if (r == 0 && free_tree->depth > 0)
        r = each_pair(walk, free_tree->root, free_tree->depth, visit_free);
    return r;
}

/* ---- the file ------------------------------------------------------------------------------ */

/* One of the two pages that say where trees begin: the commits write them in turn. Returns 1; 0: it
 * is none. */
static int read_meta(int fd, uint64_t page, uint32_t page_bytes, struct meta *ret_meta)
{
    struct head head;
    uint8_t bytes[sizeof(head) + sizeof(*ret_meta)];
    ssize_t n = pread(fd, bytes, sizeof(bytes), (off_t)(page * page_bytes));
    if (n < 0)
        return -errno;
    memcpy(&head, bytes, sizeof(head));
    memcpy(ret_meta, bytes + sizeof(head), sizeof(*ret_meta));
    return n == (ssize_t)sizeof(bytes) && head.number == page && head.flags == PAGE_META;
}

/* What the transaction goes by. Returns 1; 0: the next commit but one has written over it, or one
 * of the two pages is damaged. The other one is of the commit before, or of the next one already.
 */
static int find_meta(int fd, uint64_t txn, uint32_t page_bytes, struct meta *ret_meta)
{
    struct meta other = {0};
    int r = read_meta(fd, (txn & 1) ^ 1, page_bytes, &other);
    if (r == 1)
        r = read_meta(fd, txn & 1, page_bytes, ret_meta);
    if (r != 1)
        return r;
    bool is_first = txn == 0 && other.txn == 0; /* nothing was committed yet */
    return ret_meta->txn == txn && (other.txn + 1 == txn || other.txn == txn + 1 || is_first);
}

/* Begin at the last commit, and hold it. */
static int begin(MDB_env *env, int fd, uint32_t page_bytes, MDB_txn **txn, struct meta *ret_meta)
{
    int r = db_errno(mdb_txn_begin(env, NULL, MDB_RDONLY, txn));
    for (int tries = 0; r == 0 && tries < TRIES; tries++) {
        r = find_meta(fd, mdb_txn_id(*txn), page_bytes, ret_meta);
        if (r != 0)
            return r < 0 ? r : 0;
        mdb_txn_reset(*txn);
        r = db_errno(mdb_txn_renew(*txn));
    }
    return r < 0 ? r : -EBADMSG;
}

static int check_mapped(struct walk *walk)
{
    int r;
    /* Pages that were taken and let go of in one transaction are not written. */
    if (walk->meta.trees[TREE_FREE].unused != walk->page_bytes ||
        walk->meta.last_page >= walk->pages + UNWRITTEN_MAX)
        return wrong(walk, walk->meta.txn & 1, "it tells of more pages than the file has");
    walk->seen = calloc(walk->meta.last_page / 8 + 1, 1);
    if (!walk->seen)
        return report(walk->error, -ENOMEM, "out of memory");
    walk->seen_count = 0;
    r = walk_all(walk);
    free(walk->seen);
    return r;
}

static int check_file(struct walk *walk, int fd)
{
    struct stat info;
    if (fstat(fd, &info) < 0)
        return report_errno(walk->error, -errno, "cannot be read");
    walk->pages = (uint64_t)info.st_size / walk->page_bytes;
    size_t size = walk->pages * walk->page_bytes;
    void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (bytes == MAP_FAILED)
        return report_errno(walk->error, -errno, "cannot be mapped");
    walk->bytes = bytes;
    int r = check_mapped(walk);
    CHECK(munmap(bytes, size) == 0);
    return r;
}

/* Check what the last commit has. `ret_passed`: others have written since, and nothing kept them
 * from writing over it, as this process may not write LMDB's file of readers. */
static int check_commit(struct walk *walk, MDB_env *env, int fd, bool *ret_passed)
{
    _cleanup_txn_ MDB_txn *txn = NULL;
    struct meta now = {0};
    unsigned flags;
    int r = begin(env, fd, walk->page_bytes, &txn, &walk->meta);
    *ret_passed = false;
    if (r == -EBADMSG)
        return report(walk->error, r,
                      "pages 0 and 1: they are not those of the last commit and the one before");
    if (r < 0)
        return report_errno(walk->error, r, "cannot be read");
    r = check_file(walk, fd);
    if (r == -EBADMSG && mdb_env_get_flags(env, &flags) == 0 && flags & MDB_NOLOCK)
        *ret_passed = read_meta(fd, (walk->meta.txn & 1) ^ 1, walk->page_bytes, &now) == 1 &&
                      now.txn > walk->meta.txn;
    return r;
}

int pages_check(MDB_env *env, void (*tick)(void *context), void *context, struct beck_error *error)
{
    _cleanup_free_ struct walk *walk = calloc(1, sizeof(*walk));
    bool passed = true;
    MDB_stat stat;
    int fd;
    if (!walk)
        return report(error, -ENOMEM, "out of memory");
    *walk = (struct walk){.tick = tick, .context = context, .error = error};
    int r = db_errno(mdb_env_get_fd(env, &fd));
    if (r == 0)
        r = db_errno(mdb_env_stat(env, &stat));
    if (r < 0)
        return report_errno(error, r, "cannot be looked at");
    walk->page_bytes = stat.ms_psize;
    if (walk->page_bytes < PAGE_BYTES_MIN || walk->page_bytes > PAGE_BYTES_MAX)
        return report(error, -EBADMSG, "its pages have a size that cannot be");
    for (int tries = 0; passed && tries < TRIES; tries++)
        r = check_commit(walk, env, fd, &passed);
    return passed ? 0 : r; /* they write too fast for anybody to say */
}
