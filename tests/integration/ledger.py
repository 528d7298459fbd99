"""What a server has promised: each answer is written down, and looked up when the server was killed and started again.

A node is written by one writer at a time, one write after the other, so that its state after a restart is either the one of
the last write that was answered or the one of a write that was not: nothing else, and nothing half.  A write that was
refused may turn up after a crash as long as no later one was answered.
"""
import threading
import time
from collections import namedtuple

# what a server says of a node; events: (message, index) of the newest ten
State = namedtuple('State', 'create modify status mark events')
EVENTS = 10
REGISTERED, BACK = 'Node registered', 'Node reregistered by heartbeat'


class Op:
    """One write; after() is what it makes of a node."""

    def __init__(self, kind, nodes, mark='', status=''):
        self.kind, self.nodes, self.mark, self.status = kind, nodes, mark, status
        self.sent = time.monotonic()
        self.refused = None     # when
        self.text = ''          # what was answered then

    def after(self, old, index):
        if self.kind == 'register':
            if not old:
                return State(index, index, 'initializing', self.mark, ((REGISTERED, 0),))
            return old._replace(modify=index, mark=self.mark)
        if not old:
            return None
        if self.kind == 'emit':
            return old._replace(events=(*old.events, (self.mark, index))[-EVENTS:])
        events = old.events
        if self.mark:
            events = (*events, (self.mark, index))
        elif old.status == 'down':
            events = (*events, (BACK, index))
        return old._replace(modify=index, status=self.status, events=events[-EVENTS:])


class Known:
    """One node as its writer knows it."""

    def __init__(self, node_id, secret):
        self.id, self.secret = node_id, secret
        self.state = None
        self.maybe = []         # writes that were not answered, or refused
        self.seen = 0           # the highest ModifyIndex that any reader saw
        self.seen_event = 0
        self.writes = 0

    def settle(self, state):
        self.state, self.maybe = state, []


class Ledger:
    def __init__(self):
        self.lock = threading.RLock()
        self.nodes = {}
        self.writes = {}        # index -> (kind, ids) of writes
        self.sightings = {}     # (index, id) -> (mark, status)
        self.modified = {}      # ModifyIndex -> id
        self.highest = 0        # index that anybody ever saw
        self.answered = self.refused = self.unanswered = self.turned_up = self.reads = self.lists = 0
        self.refusals = {}
        self.success_sent = 0
        self.touched = set()
        self.others = set()     # ids of nodes that other tests write
        self.gc_asked = False
        self.problems = []

    def wrong(self, text):
        with self.lock:
            if len(self.problems) < 30:
                self.problems.append(text)

    def check(self, good, *what):
        if not good:
            self.wrong(' '.join(str(x) for x in what))

    # --- writers ---

    def add(self, node):
        with self.lock:
            self.nodes[node.id] = node

    def begin(self, op):
        with self.lock:
            for n in op.nodes:
                n.maybe.append(op)
                n.writes += 1
                self.touched.add(n)

    def done(self, op, index):
        with self.lock:
            self.answered += 1
            self.success_sent = max(self.success_sent, op.sent)
            self.wrote(op, index)
            for n in op.nodes:
                n.settle(op.after(n.state, index))
            self.highest = max(self.highest, index)

    def wrote(self, op, index):
        """the set of nodes that an index has changed is one and the same for ever"""
        what = op.kind, tuple(sorted(n.id for n in op.nodes))
        self.check(self.writes.setdefault(index, what) == what, 'index', index, 'twice:', self.writes[index], what)
        if op.kind != 'emit':
            for n in op.nodes:
                state = op.after(n.state, index)
                self.sighted(n.id, index, state.mark, state.status)

    def refuse(self, op, text):
        with self.lock:
            self.refused += 1
            self.refusals[text] = self.refusals.get(text, 0) + 1
            op.refused, op.text = time.monotonic(), text

    # --- readers ---

    def sighted(self, node_id, index, mark, status):
        what = mark, status
        known = self.sightings.setdefault((index, node_id), what)
        self.check(known == what, 'node', node_id, 'at index', index, 'is', known, 'and', what)
        other = self.modified.setdefault(index, node_id)
        self.check(other == node_id, 'index', index, 'changed', other, 'and', node_id)
        n = self.nodes.get(node_id)
        if n:
            n.seen = max(n.seen, index)

    def saw_index(self, before, index):
        with self.lock:
            self.reads += 1
            self.check(index >= before, 'index goes back:', before, 'was answered before the question, then', index)
            self.highest = max(self.highest, index)

    def saw_list(self, before, index, stubs):
        """a list is the state at its index: nothing newer, nothing missing"""
        self.saw_index(before, index)
        with self.lock:
            self.lists += 1
            found = {}
            for s in stubs:
                self.check(s['ModifyIndex'] <= index, 'a list of index', index, 'has', s['ModifyIndex'])
                self.sighted(s['ID'], s['ModifyIndex'], s['Name'], s['Status'])
                found[s['ID']] = s['ModifyIndex']
            self.check(len(found) == len(stubs), 'a node is twice in a list of index', index)
            for n in self.nodes.values():
                if n.state and n.state.modify <= index and not self.may_be_gone(n):
                    self.check(found.get(n.id, 0) >= n.state.modify, 'a list of index', index, 'has node', n.id, 'with',
                               found.get(n.id), 'not', n.state.modify)

    def saw_snapshot(self, low, stubs):
        with self.lock:
            found = {s['ID']: s['ModifyIndex'] for s in stubs}
            for s in stubs:
                self.sighted(s['ID'], s['ModifyIndex'], s['Name'], s['Status'])
            for n in self.nodes.values():
                if n.state and n.state.modify <= low and not self.may_be_gone(n):
                    self.check(found.get(n.id) == n.state.modify, 'a snapshot of index', low, 'or later has node', n.id, 'with',
                               found.get(n.id), 'not', n.state.modify)

    def saw_node(self, before, index, node):
        with self.lock:
            self.reads += 1
            self.check(index == node['ModifyIndex'], 'node', node['ID'], 'of', node['ModifyIndex'], 'with index', index)
            self.check(index >= before, 'node', node['ID'], 'goes back from', before, 'to', index)
            self.sighted(node['ID'], index, node['Name'], node['Status'])
            n = self.nodes.get(node['ID'])
            if n:
                n.seen_event = max(n.seen_event, max((e['CreateIndex'] for e in node['Events']), default=0))
            self.highest = max(self.highest, index)

    def highest_of_tables(self):
        """what a question that is sent now must see"""
        with self.lock:
            return self.highest

    def may_be_gone(self, n):
        """collected as garbage: what was down, or may have been"""
        return self.gc_asked and (not n.state or n.state.status == 'down' or any(o.status == 'down' for o in n.maybe))

    # --- after a restart, when nobody writes ---

    @staticmethod
    def as_state(node):
        return State(node['CreateIndex'], node['ModifyIndex'], node['Status'], node['Name'],
                     tuple((e['Message'], e['CreateIndex']) for e in node['Events']))

    def alternatives(self, n):
        """writes that may be there though nobody was told so"""
        return [o for o in n.maybe if not o.refused or o.refused > self.success_sent]

    def match(self, n, now, adopted):
        """which of the states that are right this one is; adopts it"""
        if now == n.state:
            for o in self.alternatives(n):
                adopted.setdefault(o, []).append(None)
            n.settle(now)
            return
        for o in self.alternatives(n):
            index = now.events[-1][1] if now and o.kind == 'emit' and now.events else now.modify if now else 0
            if now and o.after(n.state, index) == now:
                self.check(index > max(n.state.modify if n.state else 0, 0), 'node', n.id, 'came back with an old index', index)
                adopted.setdefault(o, []).append(index)
                self.turned_up += 1
                self.wrote(o, index)
                n.settle(now)
                return
        if not now and self.may_be_gone(n):
            n.seen = n.seen_event = 0
        else:
            self.wrong(f'node {n.id}: is {now}, was answered {n.state}, and may have '
                       f'{[(o.kind, o.status, o.mark, o.refused) for o in n.maybe]}')
        n.settle(now)

    def verify(self, get, everything=False):
        """get(path) -> (status, headers, object) of the server that has started again"""
        status, headers, stubs = get('/v1/nodes')
        index = int(headers['x-nomad-index'])
        with self.lock:
            self.check(status == 200 and index >= self.highest, 'index', index, 'after the restart,', self.highest,
                       'was seen before')
            found = {s['ID']: s for s in stubs}
            by_index = {s['ModifyIndex']: s for s in stubs}
            self.check(len(by_index) == len(stubs), 'two nodes have the same ModifyIndex')
            for n in list(self.nodes.values()):
                if n.id in found:
                    self.check(found[n.id]['ModifyIndex'] >= n.seen, 'node', n.id, 'is older than what a reader saw:',
                               found[n.id]['ModifyIndex'], n.seen)
                elif n.state or n.seen:
                    self.check(self.may_be_gone(n), 'node', n.id, 'is lost; seen', n.seen, 'state', n.state)
            adopted = {}
            for n in list(self.nodes.values()) if everything else self.touched:
                now = None
                if n.id in found:
                    now = self.as_state(get('/v1/node/' + n.id)[2])
                    self.check(not now.events or max(i for _, i in now.events) >= n.seen_event, 'node', n.id,
                               'has lost event', n.seen_event)
                self.match(n, now, adopted)
            for o, indexes in adopted.items():
                self.check(len(set(indexes)) == 1, 'a write is there by half:', o.kind, indexes)
            for s in stubs:
                self.sighted(s['ID'], s['ModifyIndex'], s['Name'], s['Status'])
                self.check(s['ID'] in self.nodes or s['ID'] in self.others or s['Name'].startswith('other'), 'nobody knows node', s['ID'])
            self.touched = {n for n in self.nodes.values() if n.maybe}
            self.highest = max(self.highest, index)
        return index
