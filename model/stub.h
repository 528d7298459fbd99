/* model/stub.h - list stubs, cut out of packed nodes without decoding them. */
#pragma once

#include "codec/mp.h"
#include "model/item.h"

/* appends one NodeListStub as it goes over the wire; resources: with NodeResources and
 * ReservedResources; os: with the attribute os.name (fact: http-api 5.2).  Not of items that are
 * stubs themselves. */
int stub_pack(const struct node_item *it, bool resources, bool os, struct buf *out) _must_check_;
/* The same as JSON: the bytes that node_make_stub() and js_encode() would give.  An item that is a
 * stub shows what it has.  Fails when a damaged object cannot be read; that b is full shows in
 * buf_ok(). */
int stub_json(const struct node_item *it, bool resources, bool os, struct buf *b,
              struct err *e) _must_check_;
