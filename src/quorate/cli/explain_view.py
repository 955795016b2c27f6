"""An explanation for the terminal: the plan as a tree from its outputs down, and who learns what."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from quorate.coordination.captions import box_facts, box_title, cost_text, counted, duration
from quorate.coordination.outline import Box, Outline

__all__ = ["show"]

_DEPTH = 10
"""Below so many levels a branch goes on as a tree of its own."""
_COLOURS = {"input": "green", "local": "dim", "interactive": "cyan", "opening": "bold magenta"}
_NOTE = (
    "An operation stands above what it works on; what is used again is named by its number. Rounds, bytes (of all "
    "participants) and time are those of the operation alone; what does not wait for each other shares rounds. ± is "
    "the worst error, absolute; 'open': it depends on how small a divisor gets. Green: data that comes in; cyan: needs "
    "messages; magenta: opens something; the rest is local and free."
)


def show(document: Mapping[str, Any], drawn: Outline) -> None:
    """Print what `quorate explain --json` prints, for people."""
    console = Console(highlight=False)
    protocol = document["protocol"]
    console.print(f"[bold]{document['spec']}[/bold], {protocol['name']}, threshold {protocol['threshold']}")
    console.print(f"plan digest {document['plan_digest']}\nspec digest {document['spec_digest']}", soft_wrap=True)
    console.print(f"{document['protection']}\n")
    rows = ", ".join(f"{name} {count:,}" for name, count in document["rows"].items())
    apart = document["network"]
    console.print(f"for rows: {rows}; network: {apart['rtt']} round trip, {apart['bandwidth']}/s each")
    for tree in _Trees(document, drawn).all():
        console.print(tree)
    if drawn.folded:
        console.print(f"The plan has {len(document['operations']):,} operations; {drawn.folded}.")
    console.print(f"\n{_NOTE}\n")
    console.print(_learns(document))


class _Trees:
    """One tree per output, or group of outputs that are computed alike; and those for what lies deeper."""

    def __init__(self, document: Mapping[str, Any], drawn: Outline) -> None:
        self.document, self.drawn = document, drawn
        self.seen: set[int] = set()
        self.deeper: deque[int] = deque()

    def all(self) -> list[Tree]:
        groups: dict[int | None, list[str]] = {}
        for name, output in self.document["outputs"].items():
            groups.setdefault(self.drawn.place.get(output["operation"]), []).append(name)
        trees = [self._output(number, names) for number, names in groups.items()]
        while self.deeper:
            number = self.deeper.popleft()
            tree = Tree(escape("deeper:"))
            self._grow(tree, number, 0)
            trees.append(tree)
        return trees

    def _output(self, number: int | None, names: list[str]) -> Tree:
        tree = Tree("\n".join(self._headlines(names)))
        if number is None:
            tree.add("a public constant of the plan")
        else:
            self._grow(tree, number, 0)
        return tree

    def _headlines(self, names: list[str]) -> Iterator[str]:
        """What happens to the outputs of one box: a line or two for all that share their fate."""
        fates: dict[str, list[str]] = {}
        for name in names:
            fates.setdefault(self._fate(name), []).append(name)
        for fate, sharing in fates.items():
            yield f"[bold]{escape(', '.join(sharing))}[/bold]: {escape(fate)}"

    def _fate(self, name: str) -> str:
        output = self.document["outputs"][name]
        if output["keep"] is not None:
            fate = f"kept by the parties as shares, under the name {output['keep']!r}"
        else:
            cost = f"{counted(output['rounds'], 'round')}, {output['bytes_sent']:,} B" if output["rounds"] else "free"
            fate = f"opened to {', '.join(output['to'])} ({cost})"
        kinds = [self.document["operations"][index]["kind"] for index in output["critical_path"]]
        if not kinds:
            return fate
        path = " → ".join([*kinds, *(["open"] if output["rounds"] else [])])
        rounds, seconds = counted(output["critical_rounds"], "round"), duration(output["critical_seconds"])
        return f"{fate}\n  longest chain: {rounds}, {seconds}: {path}"

    def _grow(self, tree: Tree, number: int, depth: int) -> None:
        """Add a box and what it works on; a box that was shown already is named only."""
        box = self.drawn.boxes[number]
        if number in self.seen and box.style != "input":
            tree.add(f"[dim]{escape(box_title(box))} (shown elsewhere)[/dim]")
            return
        if depth == _DEPTH and box.operands:
            tree.add(f"[dim]{escape(box_title(box))} (below)[/dim]")
            self.deeper.append(number)
            return
        self.seen.add(number)
        branch = tree.add(self._label(box))
        for operand in box.operands:
            self._grow(branch, operand, depth + 1)

    def _label(self, box: Box) -> str:
        row = self.document["operations"][box.members[0]]
        title = f"[{_COLOURS[box.style]}]{escape(box_title(box, row))}[/{_COLOURS[box.style]}]"
        shown = "  ".join(escape(fact) for fact in [*box_facts(row), row["where"]] if fact)
        cost = f"  [bold]{cost_text(box)}[/bold]" if box.rounds else ""
        opens = f"\n[magenta]opens: {escape(row['opens'])}[/magenta]" if box.style == "opening" else ""
        return f"{title}  {shown}{cost}{opens}"


def _learns(document: Mapping[str, Any]) -> Tree:
    tree = Tree("[bold]who learns what[/bold]")
    for name, part in document["learns"].items():
        branch = tree.add(f"{name} ({part['role']})")
        if part["knows"]:
            branch.add(f"brings {', '.join(part['knows'])}")
        learnt = [f"{output} {type_.partition(' ')[2]}" for output, type_ in part["results"].items()]
        branch.add(escape(f"learns {', '.join(learnt) or 'no result'}"))
        if part["keeps_shares_of"]:
            branch.add(escape(f"keeps shares of {', '.join(part['keeps_shares_of'])}"))
    first = next(iter(document["learns"].values()))
    tree.add(f"everybody: {first['public'].partition(';')[0]}; parties also see sizes and times of messages")
    tree.add(escape("; ".join(document["opened_inside"])) or "nothing else is opened to anybody")
    return tree
