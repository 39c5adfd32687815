#!/usr/bin/env bats
# Images in the store: pull, push, tag, images, rmi, inspect, history, save, load; and logging in.

load helpers

setup_file() {
    start_registry
    push_bases
    PRIVATE=$BATS_FILE_TMPDIR/private
    export PRIVATE
    PRIVATE_REGISTRY=127.0.0.1:$("$fixtures/registry" start "$PRIVATE" --user jo:pass-word)
    export PRIVATE_REGISTRY
}

teardown_file() {
    "$fixtures/registry" stop "$PRIVATE"
    stop_registry
}

setup() {
    fresh_environment
}

@test "pull and push: the copy is the original to the byte" {
    slipway pull "$REGISTRY/conformance/multilayer:1"
    slipway tag "$REGISTRY/conformance/multilayer:1" "$REGISTRY/copied:1"
    slipway push "$REGISTRY/copied:1"
    equal "$(manifest_digest "$REGISTRY/conformance/multilayer:1")" "$(manifest_digest "$REGISTRY/copied:1")"
    skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$REGISTRY/copied:1" dir:copy
}

@test "pull: Docker's media types, and of an index the image of this machine" {
    slipway pull conformance/configured:1
    run slipway inspect conformance/configured:1
    succeeded
    says 'SIGQUIT'
    slipway pull conformance/multiarch:1
    run slipway inspect conformance/multiarch:1
    succeeded
    says 'IMAGE_ARCH=amd64'
}

@test "pull: a missing image is an error with the registry's words" {
    run slipway pull conformance/absent:1
    failed_with 4
    says 'conformance/absent'
}

@test "images, tag, rmi: what the store knows" {
    site_context app
    slipway build -t site:1 app
    run slipway images
    succeeded
    says 'site +1 '
    slipway tag site:1 other/name:2
    run slipway images
    says 'other/name +2 '
    slipway rmi site:1
    run slipway images
    says_not '^site '
    says 'other/name +2 '
    run slipway inspect other/name:2
    succeeded
    run slipway rmi site:1
    [ "$status" -ne 0 ]
    says 'site:1'
}

@test "inspect prints JSON with the configuration, history the instructions" {
    site_context app
    slipway build -t site:1 app
    slipway inspect site:1 | python3 -c '
import json, sys
image = json.load(sys.stdin)[0]
assert image["Config"]["Cmd"] == ["/start.sh"], image
assert image["Os"] == "linux", image'
    run slipway history site:1
    succeeded
    says 'COPY site /srv/site'
    says 'CMD'
    local id
    id=$(slipway inspect -f '{{.Id}}' site:1)
    equal "$(slipway history -q --no-trunc site:1 | sort -u)" "$(printf '<missing>\n%s' "$id")"
    equal "$(slipway history --format '{{.ID}} {{.Size}} {{.CreatedBy}}' --human=false site:1 | head -n 1)" \
        "${id:7:12} 0 CMD [\"/start.sh\"]"
    slipway history --format json site:1 | jq -e '.CreatedBy and .CreatedSince and .CreatedAt and .Size and .ID'
    equal "$(slipway images --format 'table {{.Repository}}\t{{.Tag}}')" "$(printf 'REPOSITORY   TAG\nsite         1')"
    equal "$(slipway images --format 'table {{.ID}}' | tail -n 1)" "${id:7:12}"
}

@test "save and load: through docker's archive, with the same result" {
    site_context app
    slipway build -t site:1 app
    slipway save -o image.tar site:1
    run skopeo inspect docker-archive:image.tar
    succeeded
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/second slipway load -i image.tar
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/second slipway tag site:1 "$REGISTRY/loaded:1"
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/second slipway push "$REGISTRY/loaded:1"
    unpack "$REGISTRY/loaded:1" image
    equal "$(cat image/rootfs/srv/site/pages/about.html)" about
}

@test "load: takes an OCI archive that skopeo made" {
    skopeo copy --quiet --insecure-policy --src-tls-verify=false "docker://$REGISTRY/conformance/busybox:1" oci-archive:other.tar:other:3
    run slipway load -i other.tar
    succeeded
    run slipway images
    says 'other +3 '
}

@test "login: a wrong password is refused with exit code 3, a right one is kept for push and pull" {
    site_context app
    run slipway build -t "$PRIVATE_REGISTRY/site:1" --push app
    failed_with 3
    run slipway login -u jo --password-stdin "$PRIVATE_REGISTRY" <<<wrong
    failed_with 3
    run slipway login -u jo --password-stdin "$PRIVATE_REGISTRY" <<<pass-word
    succeeded
    says_not 'pass-word'
    equal "$(stat -c %a "$HOME/.docker/config.json")" 600
    run slipway build -t "$PRIVATE_REGISTRY/site:1" --push app
    succeeded
    run skopeo inspect --creds jo:pass-word --tls-verify=false "docker://$PRIVATE_REGISTRY/site:1"
    succeeded
    slipway logout "$PRIVATE_REGISTRY"
    run slipway pull "$PRIVATE_REGISTRY/site:1"
    failed_with 3
}

@test "login: credentials that another tool stored are found" {
    site_context app
    mkdir -p "$HOME/.docker"
    printf '{"auths": {"%s": {"auth": "%s"}}}' "$PRIVATE_REGISTRY" "$(printf jo:pass-word | base64)" >"$HOME/.docker/config.json"
    run slipway build -t "$PRIVATE_REGISTRY/stored:1" --push app
    succeeded
}

@test "login: a credential helper is asked" {
    site_context app
    mkdir -p "$HOME/.docker" bin
    printf '{"credHelpers": {"%s": "fixture"}}' "$PRIVATE_REGISTRY" >"$HOME/.docker/config.json"
    cat >bin/docker-credential-fixture <<'END'
#!/bin/sh
cat >asked
echo '{"Username": "jo", "Secret": "pass-word"}'
END
    chmod 755 bin/docker-credential-fixture
    PATH=$PWD/bin:$PATH run slipway build -t "$PRIVATE_REGISTRY/helped:1" --push app
    succeeded
    equal "$(cat asked)" "$PRIVATE_REGISTRY"
}

@test "push: to another repository of the same registry mounts the layers" {
    site_context app
    slipway build -t "$REGISTRY/origin:1" --push app
    mark_requests
    slipway tag "$REGISTRY/origin:1" "$REGISTRY/mounted:1"
    slipway push "$REGISTRY/mounted:1"
    equal "$(requests '"(PUT|PATCH) /v2/mounted/blobs/uploads/.*')" 0
    manifest "$REGISTRY/mounted:1" >/dev/null
}

@test "a registry at [::1]: login, push, pull, FROM and the cache" {
    "$BATS_TEST_DIRNAME/tcp-front" ::1 0 "${PRIVATE_REGISTRY#*:}" >port 2>/dev/null 3>&- &
    local front=$! here status=0
    for _ in $(seq 50); do [ -s port ] || sleep 0.1; done
    [ -s port ] || skip "needs IPv6"
    here="[::1]:$(cat port)"
    context app <<'END'
FROM scratch
COPY Dockerfile /x
END
    (
        slipway login -u jo --password-stdin "$here" <<<pass-word
        slipway build -t "$here/six:1" --push app
        printf 'FROM %s/six:1\nCOPY Dockerfile /y\n' "$here" >app/Dockerfile
        export SLIPWAY_HOME=$PWD/other
        slipway build --cache-from "$here/cache" --cache-to "$here/cache" -t "$here/six:2" --push app
        slipway pull "$here/six:2"
    ) || status=$?
    kill "$front"
    equal "$status" 0
}
