#!/usr/bin/env bats
# What a person sees who asks for help.

load helpers

setup() {
    fresh_environment
}

commands=$(basename -a -s .c "$top"/cli/cmd_*.c | sed 's/^cmd_//' | sort | tr '\n' ' ')
commands=${commands% }

@test "help: the list of commands is sorted and complete, and fits a screen" {
    run slipway --help
    succeeded
    [ "${#lines[@]}" -le 24 ]
    equal "$(sed -nE 's/^  ([a-z]+) .*/\1/p' <<<"$output" | tr '\n' ' ')" "$commands "
    equal "$(slipway help)" "$output"
    equal "$(slipway -h)" "$output"
}

@test "help: every command has help on standard output that fits a screen" {
    local command
    for command in $commands; do
        slipway "$command" --help >help 2>errors
        [ ! -s errors ]
        grep -q "^Usage: slipway $command" help
        [ "$(wc -l <help)" -le 45 ]
        [ "$(wc -L <help)" -le 100 ]
        equal "$(slipway "$command" -h)" "$(cat help)"
        equal "$(slipway help "$command")" "$(cat help)"
    done
}

@test "help: nothing is made by asking for it" {
    slipway build --help >/dev/null
    slipway --version >/dev/null
    [ ! -e "$SLIPWAY_HOME" ]
}

@test "help: every option that a command's help names is known to it" {
    local command option
    for command in $commands; do
        # RUN --mount is the Dockerfile's, build --check docker's.
        for option in $(slipway "$command" --help | sed 's/docker build --check//' | grep -oE -- '--[a-z][a-z-]+' | grep -vx -e --mount | sort -u); do
            run slipway "$command" "$option" --help
            says_not 'no option'
        done
    done
}

@test "help: ship names every option that it shares with build" {
    local option
    slipway build --help >build.help
    slipway ship --help >ship.help
    for option in $(sed '/^--check/,$d' build.help | grep -oE -- '--[a-z][a-z-]+' | grep -vx -e --mount); do
        grep -q -e "$option" ship.help
    done
    grep -q -e '--annotation KEY=VALUE' ship.help
    grep -q -e '--retry-delay TIME' ship.help
}

@test "version: names the libraries" {
    local command library
    for command in version --version; do
        run slipway $command
        succeeded
        for library in '^slipway ' '^libarchive ' '^libcurl ' '^libdeflate ' '^libgit2 ' '^jansson ' '^libseccomp ' '^libyaml ' \
            '^OpenSSL ' '^zlib ' '^zstd '; do
            says "$library[0-9]+\\.[0-9]+"
        done
    done
    # The option loads no library that only its list would need.
    run env LD_DEBUG=files "$SLIPWAY" --version
    succeeded
    says 'calling init: .*libz'
    says_not 'calling init: .*(libcurl|libgit2|libarchive)'
}

@test "docker: called by that name it takes docker's forms" {
    ln -s "$SLIPWAY" docker
    local form
    for form in "image ls" "image list" "image rm" "image inspect" "image history" "image build" "buildx build" "builder build" \
        "image push" "image pull" "image save" "image load" "image tag" build push images; do
        # shellcheck disable=SC2086
        run ./docker $form --help
        succeeded
        says '^Usage: slipway '
    done
    run slipway image ls
    failed_with 2
    mkdir config
    run ./docker --debug --config "$PWD/config" -l debug --log-level=info images
    succeeded
    SLIPWAY_RETRY=1 run ./docker --config config login --username me --password-stdin 127.0.0.1:1 <<<word
    failed_with 4
    run ./docker --config
    failed_with 2
    says 'needs a value'
    run slipway --debug images
    failed_with 2
}
