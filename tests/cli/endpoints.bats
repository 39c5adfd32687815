#!/usr/bin/env bats
# The addresses at which AWS hands out keys are out of a RUN's reach, whoever builds.

load helpers

setup_file() {
    cat >"$BATS_FILE_TMPDIR/Dockerfile" <<'END'
FROM scratch
COPY reach /reach
RUN ["/reach", "169.254.169.254", "fd00:ec2::254", "192.0.2.7", "8080"]
END
    for program in reach local; do
        cc -D_GNU_SOURCE -static -pthread -o "$BATS_FILE_TMPDIR/$program" "$top/tests/cli/$program.c"
    done
    # Somebody who answers there with what would be a key.
    cat >"$BATS_FILE_TMPDIR/server.py" <<'END'
import http.server, socket
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        away = self.path == "/away"
        self.send_response(302 if away else 200)
        if away:
            self.send_header("Location", "http://169.254.169.254:8080/key")
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"key")
    def log_message(self, *words):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 500
    daemon_threads = True
Server(("::", 8080), Handler).serve_forever()
END
    cat >"$BATS_FILE_TMPDIR/inside" <<'END'
ip link set lo up || exit 99
for host in 169.254.169.254 169.254.170.2 169.254.170.23 192.0.2.7; do ip address add $host/32 dev lo || exit 99; done
for host in fd00:ec2::254 fd00:ec2::23; do ip -6 address add $host/128 dev lo || exit 99; done
python3 "${0%/*}/server.py" & pid=$!
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    python3 -c 'import socket; socket.create_connection(("192.0.2.7", 8080))' 2>/dev/null && break
    sleep 0.2
done
"$@"
status=$?
kill $pid
exit $status
END
}

setup() {
    needs_root
    unshare --net true 2>/dev/null || skip "needs network namespaces"
    fresh_environment
    mkdir app
    cp "$BATS_FILE_TMPDIR/Dockerfile" "$BATS_FILE_TMPDIR/reach" app/
}

# Runs a command where all those addresses are the machine's own, with somebody who listens there.
in_their_network() {
    run unshare --net sh "$BATS_FILE_TMPDIR/inside" "$@"
    [ "$status" -ne 99 ] || skip "needs iproute2"
}

# Every way ends in nothing, but for the harmless address.
all_kept_off() {
    succeeded
    says_not REACHED
    for way in 'version 4' 'version 6' 'version 4 in 6' multipath raw packets; do
        says "kept off $way: Operation not permitted"
    done
    says 'kept off fast open: Operation not supported'
    says 'kept off race: some refused and some elsewhere'
    [ "$(uname -m)" != x86_64 ] || equal "$(grep -c 'kept off 32 bits' <<<"$output")" 6
}

@test "endpoints: are within reach without slipway, so that these tests can fail" {
    in_their_network app/reach 169.254.169.254 fd00:ec2::254 192.0.2.7 8080
    succeeded
    for way in 'version 4' 'version 6' 'version 4 in 6' 'fast open' raw packets; do
        says "^REACHED $way:"
    done
}

@test "endpoints: are out of reach of root's RUN" {
    in_their_network "$SLIPWAY" build --no-cache --progress=plain app
    all_kept_off
}

@test "endpoints: are out of reach of a RUN that is an ordinary user's inside" {
    sed -i '2a USER 1000:1000' app/Dockerfile
    in_their_network "$SLIPWAY" build --no-cache --progress=plain app
    all_kept_off
}

@test "endpoints: are out of reach of an ordinary user's RUN" {
    as_nobody unshare --user true 2>/dev/null || skip "this machine does not let users make user namespaces"
    prepare_nobody
    in_their_network setpriv --reuid 31000 --regid 31000 --clear-groups --inh-caps=-all "$SLIPWAY" build --no-cache --progress=plain app
    all_kept_off
}

@test "endpoints: 32-bit programs have sockets all the same" {
    [ "$(uname -m)" = x86_64 ] || skip "is about x86"
    for network in default host none; do
        in_their_network "$SLIPWAY" build --no-cache --network "$network" --progress=plain app
        succeeded
        says '32 bits have a socket'
        says_not '32 bits have no socket'
    done
}

@test "endpoints: a connection that is made for a RUN is as if it had made it itself" {
    mkdir alone
    (cd alone && "$BATS_FILE_TMPDIR/local") | sort >expected
    cat >app/Dockerfile <<'END'
FROM scratch
COPY local /local
WORKDIR /somewhere
RUN ["/local"]
END
    cp "$BATS_FILE_TMPDIR/local" app/
    run slipway build --no-cache --progress=plain app
    succeeded
    sed -n 's/^#3 [0-9.]* //p' <<<"$output" | sort >made
    equal "$(cat made)" "$(cat expected)"
    # In the other form they are the kernel's own.
    run slipway build --no-cache --network host --progress=plain app
    sed -n 's/^#3 [0-9.]* //p' <<<"$output" | sort >made
    equal "$(cat made)" "$(cat expected)"
}

@test "endpoints: a connection that waits for minutes holds up nothing" {
    cat >app/Dockerfile <<'END'
FROM scratch
COPY reach local /
WORKDIR /somewhere
RUN ["/local", "wait"]
END
    cp "$BATS_FILE_TMPDIR/local" app/
    slipway build --no-cache --progress=plain app >out 2>&1 &
    local pid=$!
    SECONDS=0
    wait "$pid"
    [ "$SECONDS" -lt 20 ]
    grep -q 'waits in vain' out
    run pgrep -f "__sandbox $pid"
    equal "$output" ""
}

@test "endpoints: --network host on the command line lets a RUN reach them, a Dockerfile cannot" {
    in_their_network "$SLIPWAY" build --no-cache --network host --progress=plain app
    succeeded
    for way in 'version 4' 'version 6' 'fast open' raw packets; do
        says "REACHED $way:"
    done
    sed -i 's/^RUN/RUN --network=host/' app/Dockerfile
    in_their_network "$SLIPWAY" build --no-cache --progress=plain app
    all_kept_off
}

@test "endpoints: are out of ADD's reach, too, by whatever name" {
    printf 'FROM scratch\nADD http://192.0.2.7:8080/harmless /\n' >app/Dockerfile
    in_their_network "$SLIPWAY" build -q app
    succeeded
    for url in http://169.254.169.254:8080/key 'http://[::ffff:169.254.169.254]:8080/key' http://192.0.2.7:8080/away; do
        printf 'FROM scratch\nADD %s /\n' "$url" >app/Dockerfile
        in_their_network "$SLIPWAY" build -q app
        failed_with 1
        says 'Dockerfile:2.*nothing is asked of (::ffff:)?169.254.169.254'
    done
}

@test "endpoints: where they cannot be kept off, that is said" {
    run setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$SLIPWAY" build --no-cache --progress=plain app
    succeeded
    says 'WARNING: a RUN can reach the addresses where AWS hands out keys \(CAP_SYS_PTRACE is missing\)'
    run setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$SLIPWAY" build --no-cache --network none --progress=plain app
    succeeded
    says_not WARNING
    run setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace "$SLIPWAY" doctor
    says '^note +key endpoints +a RUN can reach .*CAP_SYS_PTRACE'
    says '-> give this container --cap-add SYS_PTRACE'
}
