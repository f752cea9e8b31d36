/* SPDX-License-Identifier: Apache-2.0 */
/* LMDB's layout, little-endian, with pages of 4 KiB and numbers of 8 bytes. */
#include "page_bytes.h"

#include <stdbool.h>
#include <string.h>

enum {
    PAGE_SIZE = 4096,
    HEADER = 16, /* page number 8, unused 2, flags 2, end of the list of pairs 2, begin of them 2 */
    NODE = 8,    /* size or page number 4, flags 2, size of the key 2 */
    TREE = 48,   /* unused 4, flags 2, depth 2, counts of pages and pairs 32, root 8 */
    META_TREES = HEADER + 24, /* behind magic, version, address, size of the map */
    META_LAST = META_TREES + 2 * TREE,
    META_END = META_LAST + 16, /* behind the last page's number and the transaction's */
    IS_BRANCH = 1,
    IS_LEAF = 2,
    IS_BIG = 1, /* of a node: its value is on pages of its own */
    IS_TREE = 2,
};

struct walk {
    const unsigned char *bytes;
    size_t size;
    uint8_t *class;
    unsigned depth;
};

static uint64_t number(const unsigned char *at, unsigned size)
{
    uint64_t value = 0;
    while (size-- > 0)
        value = value << 8 | at[size];
    return value;
}

static void mark(struct walk *walk, size_t at, size_t size, enum page_byte class)
{
    memset(walk->class + at, (int)class, size);
}

/* Numbers of a tree that nobody reads, or who writes to it only: all but flags and root, and the
 * number of pairs, which the walk over the file goes by. */
static void mark_tree(struct walk *walk, size_t at)
{
    mark(walk, at, TREE, PAGE_READ);
    mark(walk, at, 4, PAGE_FIELD);
    mark(walk, at + 6, 26, PAGE_FIELD);
}

static int walk_page(struct walk *walk, uint64_t page);

static int walk_tree(struct walk *walk, size_t at)
{
    uint64_t root = number(walk->bytes + at + 40, 8);
    mark_tree(walk, at);
    return root == UINT64_MAX ? 0 : walk_page(walk, root);
}

/* The pages of a value that has its own. */
static int walk_big(struct walk *walk, uint64_t page, size_t size)
{
    size_t at = page * PAGE_SIZE;
    size_t whole = (HEADER + size + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    if (page >= walk->size / PAGE_SIZE || whole > walk->size - at)
        return -1;
    mark(walk, at, whole, PAGE_ROOM);
    mark(walk, at, HEADER, PAGE_FIELD);
    mark(walk, at + HEADER, size, PAGE_READ);
    return 0;
}

static int walk_node(struct walk *walk, size_t at, bool is_branch, bool is_first)
{
    const unsigned char *node = walk->bytes + at;
    uint64_t flags = number(node + 4, 2);
    size_t key = number(node + 6, 2);
    size_t size = number(node, 4);
    if (is_branch) {
        mark(walk, at, 6, PAGE_READ);
        mark(walk, at + 6, 2 + key, is_first ? PAGE_FIELD : PAGE_BRANCH);
        return walk_page(walk, number(node, 6));
    }
    size_t value = at + NODE + key;
    mark(walk, at, NODE + key + (flags & IS_BIG ? 8 : size), PAGE_READ);
    if (flags & IS_BIG)
        return walk_big(walk, number(walk->bytes + value, 8), size);
    return flags & IS_TREE ? walk_tree(walk, value) : 0;
}

static int walk_page(struct walk *walk, uint64_t page)
{
    size_t at = page * PAGE_SIZE;
    const unsigned char *head = walk->bytes + at;
    int r = 0;
    if (page >= walk->size / PAGE_SIZE || ++walk->depth > 32)
        return -1;
    uint64_t flags = number(head + 10, 2);
    size_t nodes = (number(head + 12, 2) - HEADER) / 2;
    if (!(flags & (IS_BRANCH | IS_LEAF)) || nodes > PAGE_SIZE / 2)
        return -1;
    mark(walk, at, PAGE_SIZE, PAGE_ROOM);
    mark(walk, at, 10, PAGE_FIELD);
    mark(walk, at + 10, 4 + 2 * nodes + 2, PAGE_READ);
    mark(walk, at + 14, 2, PAGE_FIELD);
    for (size_t i = 0; r == 0 && i < nodes; i++)
        r = walk_node(walk, at + number(head + HEADER + 2 * i, 2), flags & IS_BRANCH, i == 0);
    walk->depth--;
    return r;
}

int page_bytes_classify(const char *bytes, size_t size, uint8_t *ret_class)
{
    struct walk walk = {.bytes = (const unsigned char *)bytes, .size = size, .class = ret_class};
    if (size < 2 * (size_t)PAGE_SIZE || size % PAGE_SIZE != 0)
        return -1;
    size_t newer =
        number(walk.bytes + META_LAST + 8, 8) > number(walk.bytes + PAGE_SIZE + META_LAST + 8, 8)
            ? 0
            : PAGE_SIZE;
    mark(&walk, 0, size, PAGE_FREE);
    mark(&walk, PAGE_SIZE - newer, PAGE_SIZE, PAGE_OLD);
    mark(&walk, newer, PAGE_SIZE, PAGE_ROOM);
    mark(&walk, newer, 10, PAGE_FIELD);
    mark(&walk, newer + 10, 2, PAGE_READ);
    mark(&walk, newer + 12, 4, PAGE_FIELD);
    mark(&walk, newer + HEADER, META_END - HEADER, PAGE_READ);
    mark(&walk, newer + HEADER + 8, 16, PAGE_FIELD); /* where it would be mapped, and its size */
    mark(&walk, newer + META_LAST, 8, PAGE_FIELD);   /* where it is larger than it has to be */
    int r = walk_tree(&walk, newer + META_TREES);
    if (r == 0)
        r = walk_tree(&walk, newer + META_TREES + TREE);
    mark(&walk, newer + META_TREES, 4, PAGE_READ); /* the size of pages */
    return r;
}
