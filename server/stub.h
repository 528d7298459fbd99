/* server/stub.h - list stubs on the wire, cut out of packed nodes without decoding them. */
#pragma once

#include "codec/mp.h"
#include "model/item.h"

/* appends one NodeListStub; resources: with NodeResources and ReservedResources; os: with the
 * attribute os.name (fact: http-api 5.2) */
int stub_pack(const struct node_item *it, bool resources, bool os, struct buf *out) _must_check_;
