"""Sends a few records by Fluent Forward with the Fluent logger for Python.

    send.py HOST PORT
"""

import sys

from fluent.sender import FluentSender

host, port = sys.argv[1], int(sys.argv[2])
with FluentSender("shop", host=host, port=port, nanosecond_precision=True) as sender:
    for order in range(3):
        record = {"message": f"payment refused for order {order}", "level": "error", "service": "pay", "order": order}
        if not sender.emit("checkout", record):
            sys.exit(f"not sent: {sender.last_error}")
