#!/usr/bin/env bats
# What `doctor` says of the machine.

load helpers

setup() {
    fresh_environment
}

finding() { # CHECK KEY
    slipway doctor --json | jq -r --arg check "$1" --arg key "$2" '.findings[] | select(.check == $check)[$key]'
}

@test "doctor: one line for each check, and advice where there is some" {
    run slipway doctor
    succeeded
    local check
    for check in RUN 'subordinate ids' store credentials 'AWS credentials' proxies versions; do
        says "^(ok|note|problem) +$check  "
    done
    says "$SLIPWAY_HOME on .*, .* free of .*"
    says '^note +credentials .*anonymously'
    says '-> slipway login HOST'
    slipway doctor --json >doctor.json
    jq -e '.version and (.findings | all(.check and .text and (.status | IN("ok", "note", "problem"))))' doctor.json
    equal "$(ls "$SLIPWAY_HOME/tmp")" ''
}

@test "doctor: as root" {
    needs_root
    equal "$(finding RUN status)" ok
    equal "$(finding 'overlay in store' status)" ok
    equal "$(finding 'key endpoints' text)" "out of a RUN's reach"
    equal "$(finding 'subordinate ids' text)" 'not needed: root has all ids'
}

@test "doctor: as an ordinary user without subordinate ids" {
    needs_root
    if ! as_nobody unshare --user true 2>/dev/null; then
        skip "this machine does not let users make user namespaces"
    fi
    prepare_nobody
    run as_nobody "$SLIPWAY" doctor
    succeeded
    says '^note +RUN +userns: .*no subordinate ids'
    says "^ok +key endpoints +out of a RUN's reach"
    says '^note +subordinate ids +31000 has 0 in /etc/subuid'
    says 'usermod --add-subuids 100000-165535 --add-subgids 100000-165535 31000'
    says '^ok +overlay in store'
}

@test "doctor: where user namespaces are refused, the one setting" {
    needs_root
    prepare_nobody
    as_nobody unshare --user true 2>/dev/null || skip "they are refused anyway"
    # The limit of a user namespace of its own counts for what is inside of it.
    # shellcheck disable=SC2016 # for the inner shell
    run as_nobody unshare --user --map-current-user --keep-caps bash -c '
        echo 0 > /proc/sys/user/max_user_namespaces || exit 77
        exec setpriv --ambient-caps=-all --inh-caps=-all "$0" doctor' "$SLIPWAY"
    if [ "$status" -eq 77 ]; then
        skip "the limit cannot be set here"
    fi
    succeeded
    says '^problem +RUN +no isolation'
    says '-> as root: sysctl -w user.max_user_namespaces=15000'
    says '^note +overlay in store +not tried'
}

@test "doctor: a store where no overlay can lie" {
    needs_root
    if [ "${SLIPWAY_PRIVATE_MACHINE:-}" != 1 ]; then
        skip "mounts: only in fixtures/private-machine"
    fi
    mkdir -p lower upper work merged
    mount -t overlay -o "lowerdir=$PWD/lower,upperdir=$PWD/upper,workdir=$PWD/work" overlay merged
    SLIPWAY_HOME=$PWD/merged run slipway doctor
    umount merged
    succeeded
    says '^problem +overlay in store +refused on overlay: '
    says '-> set SLIPWAY_HOME to a folder on ext4'
}

@test "doctor: credentials and helpers without their secrets" {
    mkdir -p "$HOME/.docker"
    cat >"$HOME/.docker/config.json" <<'END'
{"auths": {"registry.example.com": {"auth": "am86c2VjcmV0LXdvcmQ="}}, "credHelpers": {"public.ecr.aws": "no-such-helper"}}
END
    https_proxy=http://jo:secret-word@proxy:3128 run slipway doctor
    succeeded
    says '^problem +credentials .*/.docker/config.json: 1 hosts registry.example.com; docker-credential-no-such-helper for public.ecr.aws'
    says '-> install docker-credential-no-such-helper'
    says '^ok +proxies +https_proxy=http://proxy:3128'
    says_not 'secret|am86c2'
    echo '{' >"$HOME/.docker/config.json"
    run slipway doctor
    succeeded
    says '^problem +credentials .*config.json'
}

@test "doctor: a store that cannot be made" {
    : >file
    SLIPWAY_HOME=$PWD/file/store run slipway doctor
    succeeded
    says '^problem +store '
}
