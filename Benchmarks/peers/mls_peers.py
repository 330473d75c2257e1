"""Other implementations of group encryption, measured as Kin is: one JSON object a line on stdout.

    {"peer": "mls-rs, OpenSSL", "operation": "join 100", "microseconds": 13000.0}
    {"peer": "OpenMLS", "missing": "why"}

Each is driven through the Python package that carries it, which adds a few microseconds to a call. Times are of the clock,
medians where an operation can be repeated. What a package cannot do has no line.
"""

import importlib.metadata
import json
import os
import statistics
import sys
import tempfile
import time

MESSAGE = bytes(100)
ROUNDS = 400


def say(peer, operation, seconds):
    print(json.dumps({"peer": peer, "operation": operation, "microseconds": round(seconds * 1e6, 3)}), flush=True)


def timed(call):
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def each(call, items):
    """The median time of `call` on each of `items`."""
    return statistics.median(timed(lambda: call(item))[1] for item in items)


def messages(peer, seal, read):
    sealed = []
    say(peer, "protect 100 B", each(lambda _: sealed.append(seal(MESSAGE)), range(ROUNDS)))
    say(peer, "unprotect 100 B", each(read, sealed))


def mls_rs_openssl(peer, sizes):
    import mls_rs_uniffi as mls

    configuration = mls.client_config_default()

    def client(number):
        keys = mls.generate_signature_keypair(mls.CipherSuite.CURVE25519_AES128)
        return mls.Client(b"member %d" % number, keys, configuration)

    for size in sizes:
        clients = [client(number) for number in range(size)]
        packages = []
        say(peer, "key package", each(lambda one: packages.append(one.generate_key_package_message()), clients[1:]))
        group = clients[0].create_group(None)

        def create():
            made = group.add_members(packages)
            group.process_incoming_message(made.commit_message)
            return made

        made, seconds = timed(create)
        say(peer, f"create {size}", seconds)
        joined, seconds = timed(lambda: clients[-1].join_group(None, made.welcome_message))
        say(peer, f"join {size}", seconds)
        made, seconds = timed(group.commit)
        say(peer, f"commit {size}", seconds)
        group.process_incoming_message(made.commit_message)
        say(peer, f"process {size}", timed(lambda: joined.group.process_incoming_message(made.commit_message))[1])
    messages(peer, group.encrypt_application_message, joined.group.process_incoming_message)


def mls_rs_rustcrypto(peer, sizes):
    import rine_mls as mls

    with tempfile.TemporaryDirectory() as store:

        def client(number):
            folder = os.path.join(store, str(number))
            os.mkdir(folder)
            return mls.MlsClient(folder, os.urandom(32), mls.CIPHER_SUITE_CLASSICAL)

        for size in sizes:
            first, *others = (client(f"{size}.{number}") for number in range(size))
            packages = [other.generate_key_package() for other in others]
            group, seconds = timed(lambda: first.create_group_with_members(os.urandom(16), packages))
            say(peer, f"create {size}", seconds)
            welcome = group.last_commit().welcomes[-1]
            joined, seconds = timed(lambda: others[-1].join_from_welcome(welcome))
            say(peer, f"join {size}", seconds)
            package = client(f"{size}.new").generate_key_package()
            made, seconds = timed(lambda: group.add_member(package))
            say(peer, f"add one {size}", seconds)
            say(peer, f"process add {size}", timed(lambda: joined.apply_commit(made.commit))[1])
        # It keeps each message it seals on disk, for its sender to read again: sealing cannot be timed by itself.
        sealed = [group.encrypt_application_message(MESSAGE) for _ in range(ROUNDS)]
        say(peer, "unprotect 100 B", each(joined.decrypt_application_message, sealed))


def openmls(peer, sizes):
    import gbp_stack as stack

    # It adds one member a commit, so that large groups take long to make.
    for size in (size for size in sizes if size <= 100):
        first, *others = (stack.MlsContext.create(f"member {number}") for number in range(size + 1))
        commit = welcome = None
        for other in others[:-1]:
            commit, welcome = first.invite_full(other.export_key_package())
            first.finalize_commit()
        joined = others[-2]
        say(peer, f"join {size}", timed(lambda: joined.accept_welcome(welcome))[1])
        package = others[-1].export_key_package()

        def add():
            made = first.invite_full(package)
            first.finalize_commit()
            return made

        (commit, welcome), seconds = timed(add)
        say(peer, f"add one {size}", seconds)

        def process():
            joined.process_message(commit)
            joined.finalize_commit()

        say(peer, f"process add {size}", timed(process)[1])


def megolm_vodozemac(peer, sizes):
    import vodozemac

    sender = vodozemac.GroupSession()
    receiver = vodozemac.InboundGroupSession(sender.session_key)
    messages(peer, sender.encrypt, receiver.decrypt)


def megolm_libolm(peer, sizes):
    import olm

    sender = olm.OutboundGroupSession()
    receiver = olm.InboundGroupSession(sender.session_key)
    messages(peer, lambda content: sender.encrypt(content.decode()), receiver.decrypt)


PEERS = [
    ("mls-rs, OpenSSL", "agentvault-mls-rs-uniffi", mls_rs_openssl),
    ("mls-rs, RustCrypto", "rine-mls", mls_rs_rustcrypto),
    ("OpenMLS", "gbp-stack", openmls),
    ("Megolm, vodozemac", "vodozemac", megolm_vodozemac),
    ("Megolm, libolm", "python-olm", megolm_libolm),
]


def main(sizes):
    for peer, package, measure in PEERS:
        try:
            version = importlib.metadata.version(package)
            print(json.dumps({"peer": peer, "version": f"{package} {version}"}), flush=True)
            measure(peer, sizes)
        except Exception as failure:  # A peer that is absent or has changed must not take the others along.
            print(json.dumps({"peer": peer, "missing": f"{package}: {failure!r}"}), flush=True)


main([int(word) for word in sys.argv[1:]] or [100, 1000])
