"""Our own client, in a process of its own: see Tests/mls-interop/README.md."""

import base64
import json
import subprocess


class Refused(Exception):
    """The client answered a call with an error."""


def to_text(data):
    return base64.b64encode(data).decode()


class Process:
    """One mls-interop, called by the names and fields of mls_client.proto. Bytes go in and come out as bytes."""

    bytes_fields = {
        "commit", "welcome", "ratchet_tree", "key_package", "proposal", "group_info", "ciphertext", "plaintext",
        "authenticated_data", "epoch_authenticator", "exported_secret", "external_sender", "state_auth_secret",
    }

    def __init__(self, program, *options):
        self.process = subprocess.Popen([program, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.calls = 0

    def call(self, method, **params):
        self.calls += 1
        request = {"id": self.calls, "method": method, "params": self.encode(params)}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert answer["id"] == self.calls
        if "error" in answer:
            raise Refused(f"{method}: {answer['error']}")
        return {
            name: base64.b64decode(value) if name in self.bytes_fields else value
            for name, value in answer["result"].items()
        }

    def encode(self, value):
        if isinstance(value, bytes):
            return to_text(value)
        if isinstance(value, dict):
            return {name: self.encode(part) for name, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.encode(part) for part in value]
        return value

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


class Kin:
    """A member that runs our code."""

    stack = "kin"
    can_speak = can_propose = can_remove = can_enter = can_admit = can_take_proposals = True

    def __init__(self, name, process, encrypts=True):
        self.name, self.process, self.encrypts = name, process, encrypts
        self.identity = name.encode()
        self.state = self.transaction = None
        self.proposals = []

    def use(self, method, **params):
        return self.process.call(method, state_id=self.state, **params)

    # Becoming a member

    def key_package(self):
        made = self.process.call("create_key_package", cipher_suite=1, identity=self.identity)
        self.transaction = made["transaction_id"]
        return made["key_package"]

    def create(self, group_id):
        self.state = self.process.call(
            "create_group", group_id=group_id, cipher_suite=1, identity=self.identity, encrypt_handshake=self.encrypts
        )["state_id"]

    def join(self, welcome, tree):
        self.state = self.process.call(
            "join_group", transaction_id=self.transaction, welcome=welcome, identity=self.identity,
            encrypt_handshake=self.encrypts, ratchet_tree=tree or b"",
        )["state_id"]

    def enter(self, group_info):
        made = self.process.call(
            "external_join", group_info=group_info, identity=self.identity, encrypt_handshake=self.encrypts)
        self.state = made["state_id"]
        return made["commit"]

    def group_info(self):
        return self.use("group_info")["group_info"]

    # Proposals and commits

    def propose(self, adds, removes):
        messages = [self.use("add_proposal", key_package=key_package)["proposal"] for key_package in adds]
        messages += [self.use("remove_proposal", removed_id=member.identity)["proposal"] for member, _ in removes]
        self.proposals += messages
        return messages

    def update(self):
        message = self.use("update_proposal")["proposal"]
        self.proposals.append(message)
        return message

    def commit(self, adds, removes):
        by_value = [{"proposal_type": b"add", "key_package": key_package} for key_package in adds]
        by_value += [{"proposal_type": b"remove", "removed_id": member.identity} for member, _ in removes]
        made = self.use("commit", by_reference=self.proposals, by_value=by_value)
        return made["commit"], [made["welcome"]] * len(adds) if adds else [made["welcome"]], None

    def merge(self):
        self.use("handle_pending_commit")
        self.proposals = []

    def hear_proposal(self, message, sender):
        self.proposals.append(message)

    def hear_commit(self, message, sender):
        self.use("handle_commit", proposal=self.proposals, commit=message)
        self.proposals = []

    # Messages

    def say(self, text):
        return self.use("protect", plaintext=text)["ciphertext"]

    def hear(self, message, sender):
        return self.use("unprotect", ciphertext=message)["plaintext"]

    def secret(self):
        return self.use("export", label="interop", context=b"all", key_length=32)["exported_secret"]
