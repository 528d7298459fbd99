"""What two nodes of the same host differ in, and which of it docs/compat.md explains.

docs/compat.md has a table between the lines `<!-- differences -->` and `<!-- end -->`; its first column is a key pattern
(fnmatch, in backquotes), the others are for people.
"""
import fnmatch
import os
import re

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'docs', 'compat.md')

# identity and history of one registration: not of the host
PER_NODE = {'ID', 'Name', 'HTTPAddr', 'CreateIndex', 'ModifyIndex', 'Events', 'StatusUpdatedAt', 'ComputedClass'}


NAMES = ('Mode', 'Device', 'IP', 'Address', 'Name', 'ID')


def label(position, value):
    """what names an element of a list: its own words where it has some, else its position"""
    words = [str(value[k]) for k in NAMES if value.get(k)] if isinstance(value, dict) else []
    return ':'.join(words) or str(position)


def flatten(value, path=''):
    """leaf path -> value; an empty map or list by its nil"""
    if isinstance(value, dict) and value:
        out = {}
        for k, v in value.items():
            out.update(flatten(v, f'{path}.{k}' if path else k))
        return out
    if isinstance(value, list) and value:
        out = {}
        for i, v in enumerate(value):
            out.update(flatten(v, f'{path}[{label(i, v)}]'))
        return out
    return {path: None if value in ({}, []) else value}


def node_differences(picket, real):
    """[(path, picket's, real's)] in path order; a missing key is '(none)'"""
    a = {k: v for k, v in flatten(picket).items() if k.split('.')[0].split('[')[0] not in PER_NODE}
    b = {k: v for k, v in flatten(real).items() if k.split('.')[0].split('[')[0] not in PER_NODE}
    return [(k, a.get(k, '(none)'), b.get(k, '(none)')) for k in sorted(a.keys() | b.keys())
            if a.get(k, '(none)') != b.get(k, '(none)')]


def explained_patterns():
    with open(DOC, encoding='utf-8') as f:
        text = f.read()
    table = text.split('<!-- differences -->')[1].split('<!-- end -->')[0]
    return re.findall(r'^\| `([^`]+)` \|', table, re.M)


def unexplained(differences):
    # "[" is part of our paths, not a character class
    patterns = [p.replace('[', '[[]') for p in explained_patterns()]
    return [d for d in differences if not any(fnmatch.fnmatchcase(d[0], p) for p in patterns)]
