"""Cells with the names that go into them and come out: the table that `test_names` reads.

Each entry is a cell, the names that the notebook has, and the plan: what it takes, what it gives,
what goes along only to be kept, and what it changes in place.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Named:
    """One cell and its plan; sets of names are written as words."""

    why: str
    cell: str
    has: str = ""
    takes: str = ""
    gives: str = ""
    kept: str = ""
    copied: str = ""


NAMES = [
    Named("reads and assigns", "y = x + 1", "x y", "x", "y"),
    Named("a name assigned first is no input", "x = 1\ny = x", "x", "", "x y"),
    Named("a name read first is input and output", "y = x\nx = 2", "x", "x", "y x"),
    Named("augmented assignment reads", "x += 1", "x", "x", "x", copied="x"),
    Named("augmented assignment of the cell's own", "x = 0\nx += 1", "x", "", "x"),
    Named("augmented item", "x[0] += 1", "x", "x", "x", copied="x"),
    Named("item assignment", "x[k] = v", "x k v", "k v x", "x", copied="x"),
    Named("attribute assignment", "x.a.b = 1", "x", "x", "x", copied="x"),
    Named("deleting an item", "del x[0]", "x", "x", "x", copied="x"),
    Named("deleting an attribute", "del x.a", "x", "x", "x", copied="x"),
    Named("item of the cell's own", "x = {}\nx[0] = 1", "x", "", "x"),
    Named("deleted names come out no more", "t = 1\ny = t\ndel t", "t", "", "y"),
    Named("deleted in one branch only", "t = 1\nif c:\n    del t", "c t", "c", "t"),
    Named("assigned again after a deletion", "t = 1\ndel t\nt = 2", "", "", "t"),
    Named("several targets", "a = b, (c, *d) = v", "v", "v", "a b c d"),
    Named("targets that are parts", "x[0], y.a, z = v", "x y v z", "v x y", "z x y", copied="x y"),
    Named("annotated", "x: int = 3\ny: float", "y", "", "x"),
    Named("private names stay inside", "_t = 1\ny = _t", "", "", "y"),
    Named("private inputs go along", "y = _x", "_x", "_x", "y"),
    Named("imports stay inside", "import a.b, c as d\nfrom e import f as g\ny = a, d, g", "a c d g", "", "y"),
    Named("star import", "from math import *\ny = sin(x)", "x", "x", "y"),
    Named("star import of a name that the notebook has", "from math import *\ny = pi", "pi", "pi", "y"),
    # Loops.
    Named("loop targets stay inside", "for i, (j, *k) in xs:\n    s = i", "xs i", "xs", "s"),
    Named("a loop may have no turn", "for i in xs:\n    s = i", "xs s", "xs", "s", kept="s"),
    Named("a loop that surely has a turn", "for i in range(3):\n    s = i", "s", "", "s"),
    Named("a literal has turns", "for i in [1, 2]:\n    s = i", "s", "", "s"),
    Named("range(0) has none", "for i in range(0):\n    s = i", "s", "", "s", kept="s"),
    Named("the first turn may break first", "for i in [1, 2]:\n    if c: break\n    s = i", "c s", "c", "s", kept="s"),
    Named("or continue", "for i in [1, 2]:\n    if c: continue\n    s = i", "c s", "c", "s", kept="s"),
    Named("a later turn reads what an earlier one set", "for i in xs:\n    y = p\n    p = i", "xs p", "xs p", "y p"),
    Named("while true ends by break alone", "while True:\n    s = f()\n    if s: break", "f s", "f", "s"),
    Named("while may have no turn", "while c:\n    s = 1", "c s", "c", "s", kept="s"),
    Named("else of a loop", "for i in xs:\n    s = i\nelse:\n    s = 0", "xs s", "xs", "s"),
    Named("else of a loop with break", "for i in xs:\n    if i: break\nelse:\n    s = 0", "xs s", "xs", "s", kept="s"),
    Named("a loop target that is a part", "for x[0] in xs: pass", "x xs", "xs x", "x", copied="x"),
    Named("a loop target assigned again", "for i in [1]:\n    i = 2", "", "", "i"),
    Named("a loop variable changed in place is no output", "for r in rows:\n    r[0] = 1", "rows r", "rows", ""),
    # Branches.
    Named("a branch not taken keeps", "if c:\n    x = 1", "c x", "c", "x", kept="x"),
    Named("both branches assign", "if c:\n    x = 1\nelse:\n    x = 2", "c x", "c", "x"),
    Named("a branch that raises", "if c:\n    x = 1\nelse:\n    raise ValueError", "c x", "c", "x"),
    Named("constant condition", "if True:\n    x = 1\nif 0:\n    y = z", "x z", "", "x"),
    Named("conditional expression", "y = a if c else b", "a b c", "c a b", "y"),
    Named("walrus", "y = (n := 10) + n", "n", "", "n y"),
    Named("walrus that may be skipped", "y = a and (n := a)\nz = n", "a n", "a n", "n y z"),
    Named("walrus in a condition", "if (n := f()) > 2:\n    y = n", "f n y", "f", "n y", kept="y"),
    Named(
        "match captures come out", "match p:\n    case (a, b): r = a\n    case _: r = 0", "p a", "p", "a b r", kept="a"
    ),
    Named("match reads", "match p:\n    case C.x if g: r = 1", "p C g", "p C g", "r"),
    Named(
        "match mapping and star", "match p:\n    case {'k': k, **o}: pass\n    case [h, *t]: pass", "p", "p", "k o h t"
    ),
    Named("match class and or", "match p:\n    case int() | Q(v=1): y = 1\n    case _: y = 2", "p Q y", "p Q", "y"),
    # Exceptions and contexts.
    Named("try that may fail halfway", "try:\n    x = f()\nexcept E:\n    pass", "f x E", "f E", "x", kept="x"),
    Named("try assigned on all ways", "try:\n    x = f()\nexcept E:\n    x = 0", "f x E", "f E", "x"),
    Named("try that gives up", "try:\n    x = f()\nexcept E:\n    raise", "f x E", "f E", "x"),
    Named("finally", "try:\n    f()\nfinally:\n    x = 1", "f x", "f", "x"),
    Named("finally reads what may be missing", "try:\n    x = f()\nfinally:\n    y = x", "f x", "f x", "x y"),
    Named("except target stays inside", "try:\n    f()\nexcept E as e:\n    m = e", "f E e m", "f E", "m", kept="m"),
    Named("else of try", "try:\n    f()\nexcept E:\n    x = 0\nelse:\n    x = 1", "f E x", "f E", "x"),
    Named("except group", "try:\n    f()\nexcept* E as g:\n    x = g", "f E x", "f E", "x", kept="x"),
    Named("with targets stay inside", "with open(p) as f, q as (a, b):\n    d = f.read()", "p q d f a", "p q", "d"),
    Named("with that swallows", "with suppress(E):\n    x = f()", "suppress E f x", "suppress E f", "x", kept="x"),
    Named("assert", "assert c, m\nx = 1", "c m x", "c m", "x"),
    Named("the message of an assert is made only if it fails", "assert c, (m := 1)\ny = m", "c m", "c m", "m y"),
    # Scopes.
    Named("comprehension variables are its own", "y = [i * k for i in xs if i > m]", "i k xs m", "xs m k", "y"),
    Named("only the first iterable is outside", "y = [i for i in i]", "i", "i", "y"),
    Named("nested comprehensions", "y = {a: {b for b in a} for a in z for c in a}", "a b c z", "z", "y"),
    Named("walrus in a comprehension leaks", "y = [m := i for i in xs]", "xs m", "xs", "m y", kept="m"),
    Named("generator expression", "y = sum(i * w for i in xs)", "i w xs", "xs w", "y"),
    Named("lambda", "f = lambda a, b=d, *c, **e: a + g + len(c)", "a c d e g", "d g", "f"),
    Named("recursive lambda", "f = lambda n: n and f(n - 1)", "f", "", "f"),
    Named("lambda in a comprehension", "y = [lambda: i + k for i in xs]", "i k xs", "xs k", "y"),
    Named(
        "a function inside a branch",
        "if True:\n    def f(a, b: T = d) -> R:\n        global n\n        n = a + k\n        l = n",
        "a b d k n l T R",
        "d T R k n",
        "f n",
        kept="",
    ),
    Named(
        "a class inside a branch",
        "if True:\n    class A(B):\n        x = u\n        def m(self): return v, x",
        "B u v x",
        "B u v x",
        "A",
    ),
    Named("a class body's own names", "if True:\n    class A:\n        x = 1\n        y = x", "", "", "A"),
    Named(
        "nonlocal",
        "if True:\n    def f():\n        x = 1\n        def g():\n            nonlocal x\n            x = y",
        "x y",
        "y",
        "f",
    ),
    Named("a class that takes a name over", "if True:\n    class A:\n        x = x", "x", "x", "A"),
    Named("formatted strings", "y = f'{a!r:>{w}}{b=}'", "a b w", "a w b", "y"),
    Named("decorators", "if True:\n    @d(k)\n    def f(): pass", "d k", "d k", "f"),
    # Asynchronous.
    Named("await", "y = await f(x)", "f x", "f x", "y"),
    Named("async for", "async for i in xs:\n    y = i", "xs i", "xs", "y"),
    Named("async with", "async with c as s:\n    y = await s.get()", "c s", "c", "y"),
    Named("async comprehension", "y = [i async for i in xs if await f(i)]", "i f xs", "xs f", "y"),
    # Builtins and given names.
    Named("builtins are no inputs", "y = len(str(1)), __name__\ndisplay(y)", "__name__", "", "y"),
    Named("a name of IPython that the notebook has redefined", "y = display(1)", "display", "display", "y"),
    Named("a builtin that the notebook has redefined", "y = sum(x)", "sum x", "sum x", "y"),
    Named("a builtin that the cell redefines", "sum = 0\nfor i in [1]: sum += i", "", "", "sum"),
]
