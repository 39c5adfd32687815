#!/usr/bin/env bats
# Registries over TLS: HTTP/2, authorities of one's own, certificates that the registry wants to see.

load helpers

setup_file() {
    local port
    port=$("$fixtures/registry" start "$BATS_FILE_TMPDIR/open" --tls)
    OPEN=localhost:$port OPEN_STATE=$BATS_FILE_TMPDIR/open
    port=$("$fixtures/registry" start "$BATS_FILE_TMPDIR/closed" --client-certificates)
    CLOSED=localhost:$port CLOSED_STATE=$BATS_FILE_TMPDIR/closed
    export OPEN OPEN_STATE CLOSED CLOSED_STATE
}

teardown_file() {
    "$fixtures/registry" stop "$OPEN_STATE"
    "$fixtures/registry" stop "$CLOSED_STATE"
}

setup() {
    fresh_environment
    context app <<'END'
FROM scratch
COPY . /
END
    # Larger than what HTTP/2 lets out before the other side asks for more.
    head -c 20000000 /dev/urandom >app/large
    echo small >app/small
}

@test "tls: a registry with an authority of its own is spoken to over HTTP/2, both ways" {
    slipway build --registry-certificate "$OPEN=$OPEN_STATE/authority.pem" -t "$OPEN/app:1" --push app >digest
    grep -q '"PUT /v2/app/blobs/uploads/.* HTTP/2.0" 201' "$OPEN_STATE/log"
    SLIPWAY_HOME=$PWD/other slipway pull --registry-certificate "$OPEN=$OPEN_STATE/authority.pem" "$OPEN/app:1"
    grep -q '"GET /v2/app/blobs/sha256:.* HTTP/2.0" 200' "$OPEN_STATE/log"
    equal "$(grep -c ' HTTP/1.1"' "$OPEN_STATE/log")" "$(grep -c '"GET /v2/ HTTP/1.1"' "$OPEN_STATE/log")"
    SLIPWAY_HOME=$PWD/other slipway save -o app.tar "$OPEN/app:1"
    slipway save -o own.tar "$OPEN/app:1"
    cmp app.tar own.tar
}

@test "tls: an authority that nobody named is not trusted, and the words say what to give" {
    run slipway build --registry-certificate "elsewhere:1=$OPEN_STATE/authority.pem" -t "$OPEN/no:1" --push app
    failed_with 4
    says "$OPEN"
    run slipway build --registry-certificate "$OPEN=$CLOSED_STATE/authority.pem" -t "$OPEN/no:1" --push app
    failed_with 4
    says 'certificate'
    says_not_in_log "$OPEN_STATE" '/v2/no/'
}

@test "tls: a certificate for localhost is none for 127.0.0.1" {
    local address=127.0.0.1:${OPEN#*:}
    run slipway build --registry-certificate "$address=$OPEN_STATE/authority.pem" -t "$address/no:1" --push app
    failed_with 4
    says 'certificate|SSL'
    says_not_in_log "$OPEN_STATE" '/v2/no/'
}

@test "tls: a registry that wants to see a certificate gets the one that is named for it, and only that registry does" {
    local trust=(--registry-certificate "$CLOSED=$CLOSED_STATE/authority.pem")
    run slipway build "${trust[@]}" -t "$CLOSED/app:1" --push app
    failed_with 4
    says 'certificate'
    run slipway build "${trust[@]}" --client-certificate "$OPEN=$CLOSED_STATE/client.pem" -t "$CLOSED/app:1" --push app
    failed_with 4
    slipway build "${trust[@]}" --client-certificate "$CLOSED=$CLOSED_STATE/client.pem" -t "$CLOSED/app:1" --push app >digest
    SLIPWAY_HOME=$PWD/other slipway pull "${trust[@]}" --client-certificate "$CLOSED=$CLOSED_STATE/client.pem" "$CLOSED/app:1"
}

says_not_in_log() { # STATE PATTERN
    run grep -E "$2" "$1/log"
    equal "$output" ""
}
