#!/usr/bin/env python3
"""Groups of our clients and other people's: whatever one of them sends, all others read, in one group, live.

usage: play.py [--seed N] [--steps N] [--program PATH]

Downloads pinned wheels to .build/peers on the first run. Every play prints a line; the exit status tells whether all went well.
"""

import argparse
import os
import pathlib
import random
import subprocess
import sys
import traceback
from functools import partial

root = pathlib.Path(__file__).resolve().parents[2]
library = root / ".build" / "peers" / "lib"
sys.path[:0] = [str(library), str(pathlib.Path(__file__).parent)]

import kin  # noqa: E402
import peers  # noqa: E402

WHEELS = ["agentvault-mls-rs-uniffi==0.1.1", "rine-mls==0.1.1", "gbp-stack==1.9.1"]


def fetch():
    stamp = library / "fetched"
    if stamp.exists() and stamp.read_text().split() == WHEELS:
        return
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--upgrade"]
    subprocess.run([*command, "--target", str(library), *WHEELS], check=True)
    stamp.write_text("\n".join(WHEELS))


class World:
    """A group, its members by leaf, and what happened to it."""

    def __init__(self, chance, kinds):
        self.chance, self.kinds = chance, kinds
        self.leaves = []
        self.made = 0
        self.log = []
        self.heard = self.commits = 0

    @property
    def members(self):
        return [member for member in self.leaves if member]

    def place(self, member):
        """The leaf of a new member: the first that is blank, or one more."""
        if None in self.leaves:
            self.leaves[self.leaves.index(None)] = member
        else:
            self.leaves.append(member)

    def blank(self, member):
        self.leaves[self.leaves.index(member)] = None
        while self.leaves and self.leaves[-1] is None:
            self.leaves.pop()

    def new(self, kind=None):
        self.made += 1
        kind = kind or self.chance.choice(self.kinds)
        return kind(f"member {self.made}")

    # Steps

    def begin(self, creator):
        creator.create(os.urandom(16))
        self.place(creator)

    def commit(self, committer, joiners=(), leavers=(), proposers=()):
        """`proposers` propose what is to be; otherwise the committer says it in the commit itself."""
        self.log.append(
            f"{committer.name} ({committer.stack}) commits: in {[j.stack for j in joiners]}, "
            f"out {[l.name for l in leavers]}, proposed by {[p.stack for p in proposers]}")
        packages = [joiner.key_package() for joiner in joiners]
        removes = [(leaver, self.leaves.index(leaver)) for leaver in leavers]
        if proposers:
            proposer = proposers[0]
            for message in proposer.propose(packages, removes):
                for member in self.members:
                    if member is not proposer:
                        member.hear_proposal(message, proposer)
            packages_in, removes_in = [], []
        else:
            packages_in, removes_in = packages, removes
        message, welcomes, tree = committer.commit(packages_in, removes_in)
        committer.merge()
        for member in self.members:
            if member is not committer and member not in leavers:
                member.hear_commit(message, committer)
        # Removes come first: whoever joins may take their places.
        for leaver in leavers:
            self.blank(leaver)
        for number, joiner in enumerate(joiners):
            joiner.join(welcomes[min(number, len(welcomes) - 1)], tree)
            self.place(joiner)
        self.commits += 1

    def update(self, updater, committer):
        """An update proposed by one of ours, which others commit."""
        self.log.append(f"{updater.name} updates, {committer.name} ({committer.stack}) commits")
        message = updater.update()
        for member in self.members:
            if member is not updater:
                member.hear_proposal(message, updater)
        message, _, _ = committer.commit([], [])
        committer.merge()
        for member in self.members:
            if member is not committer:
                member.hear_commit(message, committer)
        self.commits += 1

    def enter(self, joiner, host):
        self.log.append(f"{joiner.name} ({joiner.stack}) enters by {host.stack}")
        message = joiner.enter(host.group_info())
        for member in self.members:
            member.hear_commit(message, joiner)
        self.place(joiner)
        self.commits += 1

    def talk(self):
        """All who can, speak; all hear them, and all who can tell have one secret."""
        for speaker in self.members:
            if not speaker.can_speak:
                continue
            text = b"from " + speaker.name.encode() + os.urandom(self.chance.choice([0, 1, 100, 5000]))
            message = speaker.say(text)
            for listener in self.members:
                if listener is not speaker:
                    heard = listener.hear(message, speaker)
                    assert heard is None or heard == text, "something else was heard"
                    self.heard += 1
        secrets = {member.secret() for member in self.members} - {None}
        assert len(secrets) <= 1, "the secrets differ"

    def step(self):
        members = self.members
        choice = self.chance.random()
        entering = [member for member in members if member.can_admit]
        if choice < 0.15 and entering:
            kinds = [kind for kind in self.kinds if kind.func.can_enter]
            if kinds:
                return self.enter(self.new(self.chance.choice(kinds)), self.chance.choice(entering))
        committer = self.chance.choice(members)
        updaters = [m for m in members if m.stack == "kin" and m is not committer]
        all_take = all(member.can_take_proposals for member in members)
        if choice < 0.3 and updaters and all_take and committer.stack in ("kin", "mls-rs"):
            return self.update(self.chance.choice(updaters), committer)
        leavers = [m for m in members if m is not committer and self.can_remove(committer, m)]
        if len(members) > 6 or (choice > 0.7 and len(members) > 3):
            if leavers:
                return self.commit(committer, leavers=[self.chance.choice(leavers)])
            return None
        count = 1 if committer.stack == "openmls" else self.chance.randint(1, 2)
        joiners = [self.new() for _ in range(count)]
        proposers = [m for m in members if m.can_propose]
        if all_take and proposers and committer.stack in ("kin", "mls-rs") and self.chance.random() < 0.4:
            return self.commit(committer, joiners, proposers=[self.chance.choice(proposers)])
        return self.commit(committer, joiners)

    def can_remove(self, committer, member):
        if committer.stack == "mls-rs":
            return member in committer.known
        if committer.stack == "openmls":
            # Its binding takes the number of a leaf and refuses those beyond the number of members.
            return self.leaves.index(member) < len(self.members)
        return committer.can_remove


def plays(process):
    ours = partial(kin.Kin, process=process)
    mls_rs, rine, openmls = partial(peers.MlsRs), partial(peers.Rine), partial(peers.OpenMls)
    # Only PrivateMessages where OpenMLS is: its binding takes nothing else, and sends nothing else.
    yield "mls-rs, private handshakes of ours", [ours, mls_rs]
    yield "mls-rs, public handshakes of ours", [partial(ours, encrypts=False), mls_rs]
    yield "mls-rs, tree beside the welcome", [ours, partial(peers.MlsRs, tree_inside=False)]
    yield "rine", [ours, rine]
    yield "openmls", [ours, openmls]
    yield "mls-rs and rine", [ours, mls_rs, rine]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--program", default=str(root / ".build" / "debug" / "mls-interop"))
    arguments = parser.parse_args()
    fetch()
    print(f"seed {arguments.seed}")
    process = kin.Process(arguments.program, "--reload")
    failed = 0
    for name, kinds in plays(process):
        for creator in kinds:
            chance = random.Random(f"{arguments.seed} {name}")
            world = World(chance, kinds)
            try:
                world.begin(world.new(creator))
                # One of each kind from the start.
                for kind in kinds:
                    committer = world.members[0]
                    world.commit(committer, [world.new(kind)])
                    world.talk()
                for _ in range(arguments.steps):
                    world.step()
                    world.talk()
                verdict = "ok    "
            except Exception:
                failed += 1
                verdict = "FAILED"
                traceback.print_exc()
                print("\n".join(world.log[-6:]))
            stacks = sorted({member.stack for member in world.members})
            print(
                f"{verdict} {name}, begun by {creator.func.stack}: {world.commits} commits, {world.heard} messages heard,"
                f" {len(world.members)} members at the end: {', '.join(stacks)}",
                flush=True)
    process.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
