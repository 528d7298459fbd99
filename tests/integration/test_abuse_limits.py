"""docs/limits.md says what base/limits.h has."""
import os
import re
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
NOT_HERE = {'HTTP_STREAM_MAX', 'RPC_STREAM_MAX', 'CONN_IN_MAX', 'YAMUX_WINDOW', 'RPC_OBJECT_MAX'}  # of one protocol's own rules


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


class Documentation(unittest.TestCase):
    def test_limits_of_peers_are_documented_with_their_values(self):
        rows = [line for line in read('docs/limits.md').splitlines() if line.startswith('|')]
        page = read('docs/limits.md')
        found = 0
        for name, value in re.findall(r'^#define ((?:HTTP|RPC|CONN|YAMUX|PEERS|PACE|FDS|WRITES|LATE)_\w+)\s+(.+?)\s*(?:/\*.*)?$',
                                      read('base/limits.h'), re.M):
            if name in NOT_HERE:
                continue
            with self.subTest(name):
                self.assertIn(f'`{name}`', page)
                number = re.fullmatch(r'\(\(size_t\)(\d+) \* (KIB|MIB)\)|(\d+)', value)
                self.assertIsNotNone(number, value)
                text = number[3] or f'{number[1]} {number[2][:2]}B'.replace('KI', 'Ki').replace('MI', 'Mi')
                row = ' '.join([r for r in rows if f'`{name}`' in r]) or page
                self.assertIn(text, row)
                found += 1
        self.assertGreater(found, 12)

    def test_no_limit_is_documented_that_is_not_there(self):
        header = read('base/limits.h')
        for name in re.findall(r'`([A-Z]+_[A-Z_]+)`', read('docs/limits.md')):
            self.assertRegex(header, rf'#define {name}\b')


if __name__ == '__main__':
    unittest.main()
