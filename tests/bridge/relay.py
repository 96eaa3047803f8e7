"""A mail server that takes mail by TLS from whoever logs in, for the tests of `mail`.

relay.py HOST PORT starttls|smtps CERTIFICATE KEY MAILDIR
"""

import asyncio
import ssl
import sys

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

KNOWN = LoginPassword(b"bellwether", b"s3cret0fmail")


def knows(server, session, envelope, mechanism, data):
    return AuthResult(success=data == KNOWN)


async def serve(host, port, manner, certificate, key, maildir):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    starttls = manner == "starttls"
    handler = Mailbox(maildir)

    def talk():
        return SMTP(
            handler,
            tls_context=context if starttls else None,
            require_starttls=starttls,
            authenticator=knows,
            auth_required=True,
            # With smtps nothing is in the clear.
            auth_require_tls=starttls,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(talk, host, int(port), ssl=None if starttls else context)
    await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
