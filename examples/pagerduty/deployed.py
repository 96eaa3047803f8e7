"""Tells of a deployment by PagerDuty's Python client, as a pipeline does that tells PagerDuty.

    deployed.py URL SERVICE VERSION

URL is where Bellwether listens instead of PagerDuty, with TLS, for the client speaks to nothing
else, and with a user and a password of `auth.credentials`, for its routing key goes in the body:
https://agent:password@bellwether.example:9099
"""

import sys
from datetime import datetime, timezone

from pagerduty import EventsApiV2Client

url, service, version = sys.argv[1:]
client = EventsApiV2Client("a-routing-key-of-no-value", base_url=url)
client.submit(
    f"{service} {version} deployed",
    source=service,
    custom_details={"version": version, "user": "ann"},
    timestamp=datetime.now(timezone.utc).isoformat(),
    links=[{"href": f"https://ci.example/{service}/{version}", "text": "pipeline"}],
)
