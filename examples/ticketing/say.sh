#!/bin/sh
# Says something about an incident, as a person or a ticketing system would, with curl:
#   say.sh acknowledge INCIDENT ana
#   say.sh detach INCIDENT ana ALERT             # the alert's fingerprint, as the record lists it
#   say.sh merge INCIDENT ana OTHER              # OTHER goes on with the alerts of INCIDENT
#   say.sh cause INCIDENT ana host:db-1          # what it turned out to be: a label for `bellwether eval feedback`
#   say.sh false_positive INCIDENT ana           # it was none: what it was made of opens none again
#   say.sh retract INCIDENT ana                  # ... it does, after all
#   say.sh ticket created rt INCIDENT 17         # ticket 17 of system `rt` is about it
#   say.sh ticket resolved rt INCIDENT 17
# The token in `token` beside this file is one with `may: [act]`. Every word is sent under an id of its own, so that a repetition is known. A full receiver
# answers 503; curl asks it again.
set -eu
url=${BELLWETHER_URL:-http://127.0.0.1:9099}
token=$(cat "${TOKEN_FILE:-$(dirname "$0")/token}")
id=$(date +%s%N)-$$

post() {
    curl --fail --silent --show-error --retry 12 --retry-delay 5 --header "Authorization: Bearer $token" \
        --header "Content-Type: application/json" --data "$2" "$url/$1"
}

case $1 in
    ticket) post "ticket/$2/$3" "{\"id\":\"$id\",\"incident\":\"$4\",\"key\":\"$5\"}" ;;
    attach | detach) post "feedback/$1" "{\"id\":\"$id\",\"incident\":\"$2\",\"who\":\"$3\",\"alert\":\"$4\"}" ;;
    merge) post "feedback/$1" "{\"id\":\"$id\",\"incident\":\"$2\",\"who\":\"$3\",\"into\":\"$4\"}" ;;
    cause) post "feedback/$1" "{\"id\":\"$id\",\"incident\":\"$2\",\"who\":\"$3\",\"cause\":\"$4\"}" ;;
    *) post "feedback/$1" "{\"id\":\"$id\",\"incident\":\"$2\",\"who\":\"$3\"}" ;;
esac
