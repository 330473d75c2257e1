"""Members that run other people's code, all by the same few verbs as kin.Kin. What a stack's Python binding does not offer
is said by the flags, and no play asks for it."""

import os
import tempfile

# What an MLSMessage of a key package begins with: version 1, wire format 5.
KEY_PACKAGE = b"\x00\x01\x00\x05"


class Peer:
    can_speak = can_propose = can_remove = can_enter = can_admit = can_take_proposals = False

    def __init__(self, name):
        self.name = name
        self.identity = name.encode()

    def secret(self):
        """A secret that all members derive, if the binding can export one."""
        return None


class MlsRs(Peer):
    """mls-rs with OpenSSL (agentvault-mls-rs-uniffi). It sends its handshakes as PublicMessages."""

    stack = "mls-rs"
    can_speak = can_propose = can_remove = can_take_proposals = True

    def __init__(self, name, tree_inside=True):
        import mls_rs_uniffi as mls

        super().__init__(name)
        self.mls = mls
        config = mls.client_config_default()
        config.use_ratchet_tree_extension = tree_inside
        keys = mls.generate_signature_keypair(mls.CipherSuite.CURVE25519_AES128)
        self.client = mls.Client(self.identity, keys, config)
        self.tree_inside = tree_inside
        # The binding names members to be removed by a handle that only a message of theirs gives.
        self.known = {}

    def message(self, data):
        return self.mls.Message.from_bytes(data)

    def key_package(self):
        return self.client.generate_key_package_message().to_bytes()

    def create(self, group_id):
        self.group = self.client.create_group(group_id)

    def join(self, welcome, tree):
        tree = self.mls.RatchetTree(bytes=tree) if tree else None
        self.group = self.client.join_group(tree, self.message(welcome)).group

    def propose(self, adds, removes):
        messages = self.group.propose_add_members([self.message(add) for add in adds]) if adds else []
        if removes:
            messages += self.group.propose_remove_members([self.known[member] for member, _ in removes])
        return [message.to_bytes() for message in messages]

    def commit(self, adds, removes):
        assert not (adds and removes), "the binding commits adds or removes"
        if adds:
            made = self.group.add_members([self.message(add) for add in adds])
        elif removes:
            made = self.group.remove_members([self.known[member] for member, _ in removes])
        else:
            made = self.group.commit()
        self.pending = made.commit_message
        welcome = made.welcome_message.to_bytes() if made.welcome_message else b""
        tree = None if self.tree_inside or not made.ratchet_tree else made.ratchet_tree.bytes
        return made.commit_message.to_bytes(), [welcome] * max(1, len(adds)), tree

    def merge(self):
        self.group.process_incoming_message(self.pending)

    def receive(self, message):
        return self.group.process_incoming_message(self.message(message))

    def hear_proposal(self, message, sender):
        received = self.receive(message)
        assert received.is_received_proposal(), received
        self.known.setdefault(sender, received.sender)

    def hear_commit(self, message, sender):
        received = self.receive(message)
        assert received.is_commit() and received.effect.is_new_epoch(), received
        self.known.setdefault(sender, received.committer)

    def say(self, text):
        return self.group.encrypt_application_message(text).to_bytes()

    def hear(self, message, sender):
        received = self.receive(message)
        assert received.is_application_message(), received
        self.known.setdefault(sender, received.sender)
        return received.data

    def secret(self):
        return self.group.export_secret(b"interop", b"all", 32)


class Rine(Peer):
    """mls-rs with RustCrypto (rine-mls)."""

    stack = "rine"
    can_speak = can_remove = can_enter = can_admit = True

    def __init__(self, name):
        import rine_mls

        super().__init__(name)
        self.tag = bytes([rine_mls.APP_MESSAGE_TAG])
        self.folder = tempfile.TemporaryDirectory()
        self.client = rine_mls.MlsClient(self.folder.name, os.urandom(32), rine_mls.CIPHER_SUITE_CLASSICAL)

    def begin(self, group):
        """The binding makes up the credential, so it is read from the tree."""
        self.group = group
        own = group.current_member_index()
        self.identity = next(member.identity for member in group.member_identities() if member.index == own)

    def key_package(self):
        return self.client.generate_key_package()

    def create(self, group_id):
        self.begin(self.client.create_group(group_id))

    def join(self, welcome, tree):
        assert tree is None
        self.begin(self.client.join_from_welcome(welcome))

    def enter(self, group_info):
        self.begin(self.client.join_by_external_commit(group_info))
        return self.group.last_commit().commit

    def group_info(self):
        return self.group.group_info()

    def commit(self, adds, removes):
        assert len(removes) + bool(adds) == 1, "the binding commits adds or one remove"
        made = self.group.add_members(adds) if adds else self.group.remove_member(removes[0][1])
        return made.commit, list(made.welcomes) or [b""], None

    def merge(self):
        """The binding has merged it already."""

    def hear_commit(self, message, sender):
        self.group.apply_commit(message)

    def say(self, text):
        message = self.group.encrypt_application_message(text)
        assert message[:1] == self.tag
        return message[1:]

    def hear(self, message, sender):
        return self.group.decrypt_application_message(self.tag + message).envelope


class OpenMls(Peer):
    """OpenMLS (gbp-stack). The binding takes PrivateMessages alone, forgets proposals, and hands out nothing that it reads:
    that it could be read is what it tells."""

    stack = "openmls"
    can_remove = True

    def __init__(self, name):
        import gbp_stack

        super().__init__(name)
        self.context = gbp_stack.MlsContext.create(name)

    def key_package(self):
        return KEY_PACKAGE + self.context.export_key_package()

    def create(self, group_id):
        """The binding makes a group, of an id of its own, with the context."""

    def join(self, welcome, tree):
        assert tree is None
        self.context.accept_welcome(welcome)

    def commit(self, adds, removes):
        assert len(adds) + len(removes) == 1, "the binding commits one add or one remove"
        if adds:
            commit, welcome = self.context.invite_full(adds[0][len(KEY_PACKAGE):])
            return commit, [welcome], None
        return self.context.remove_member(removes[0][1]), [b""], None

    def merge(self):
        self.context.finalize_commit()

    def receive(self, message, kind):
        received = self.context.process_message(message)
        assert received == kind, received

    def hear_commit(self, message, sender):
        self.receive(message, "commit")
        self.context.finalize_commit()

    def hear(self, message, sender):
        self.receive(message, "application")
        return None
