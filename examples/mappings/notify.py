#!/usr/bin/env python3
"""Posts the environment variables that begin with a prefix as a form: the notification
command of Nagios, Icinga 2 and Checkmk.

    notify.py --prefix NAGIOS_ --url http://127.0.0.1:9099/webhook/nagios --token-file token

A full receiver answers 503; it is asked again for a minute. Ends with 1 when nothing helps.
"""

import argparse
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

TRIES = 12
PAUSE_SECS = 5

arguments = argparse.ArgumentParser(description=__doc__)
arguments.add_argument("--prefix", required=True)
arguments.add_argument("--url", required=True)
arguments.add_argument("--token-file", required=True)
asked = arguments.parse_args()

with open(asked.token_file, encoding="utf-8") as file:
    token = file.read().strip()
begin = len(asked.prefix)
fields = {name[begin:]: value for name, value in os.environ.items() if name.startswith(asked.prefix)}
request = urllib.request.Request(
    asked.url, urllib.parse.urlencode(fields).encode(), {"Authorization": "Bearer " + token}
)
for _ in range(TRIES):
    try:
        urllib.request.urlopen(request, timeout=30).close()
        sys.exit(0)
    except urllib.error.HTTPError as error:
        if error.code < 500 and error.code != 429:
            sys.exit(f"refused: {error.code} {error.read(500).decode(errors='replace')}")
    except OSError as error:
        print(error, file=sys.stderr)
    time.sleep(PAUSE_SECS)
sys.exit(1)
