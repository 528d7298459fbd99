"""Runs the tests of a module at the same time: those that mostly wait for programs.  In such a module:

    load_tests = side_by_side.load_tests

Results are reported when all are over, in the usual order.
"""
import threading
import unittest


class Recorder(unittest.TestResult):
    """keeps what a test says for the result that it is meant for"""

    def __init__(self):
        super().__init__()
        self.said = []

    def replay(self, result):
        for name, args in self.said:
            getattr(result, name)(*args)


def recorded(name):
    def record(self, *args):
        self.said.append((name, args))
        getattr(unittest.TestResult, name)(self, *args)
    return record


for _name in ('startTest', 'stopTest', 'addSuccess', 'addError', 'addFailure', 'addSkip', 'addExpectedFailure',
              'addUnexpectedSuccess', 'addSubTest'):
    setattr(Recorder, _name, recorded(_name))


def each(tests):
    for t in tests:
        if isinstance(t, unittest.TestSuite):
            yield from each(t)
        else:
            yield t


class SideBySide(unittest.TestSuite):
    def run(self, result, debug=False):
        recorders, threads = [], []
        for test in self:
            recorders.append(Recorder())
            threads.append(threading.Thread(target=test.run, args=[recorders[-1]]))
            threads[-1].start()
        for t, r in zip(threads, recorders):
            t.join()
            r.replay(result)
        return result


def load_tests(loader, tests, pattern):
    return SideBySide(each(tests))
