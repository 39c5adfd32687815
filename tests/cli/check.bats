#!/usr/bin/env bats
# check: what can be said of a Dockerfile without building it.

load helpers

setup() {
    fresh_environment
    mkdir app
}

dockerfile() { # LINE...
    printf '%s\n' "$@" >app/Dockerfile
}

@test "check: a finding has its place, rule, sentence, line and what to write instead" {
    dockerfile 'FROM scratch' 'CMD node server.js'
    run slipway check app
    failed_with 1
    equal "${lines[0]}" "app/Dockerfile:2:5: JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended \
behavior related to OS signals"
    equal "${lines[1]}" '    2 | CMD node server.js'
    equal "${lines[2]}" '      |     ^~~~~~~~~~~~~~'
    equal "${lines[3]}" '      = write CMD ["node","server.js"]'
    equal "${lines[4]}" '1 warning found'
}

@test "check: nothing to say is a success, and nothing is made" {
    dockerfile 'FROM scratch' 'COPY Dockerfile /'
    run slipway check app
    succeeded
    equal "$output" 'no warnings found'
    (cd app && slipway check)
    equal "$(slipway images -q)" ''
}

@test "check: build --check and --call=check say the same" {
    dockerfile 'FROM scratch as a' 'WORKDIR app'
    slipway check app >expected || [ $? -eq 1 ]
    run slipway build --check -t name:1 --push app
    failed_with 1
    equal "$output" "$(cat expected)"
    run slipway build --call=check app
    failed_with 1
    equal "$output" "$(cat expected)"
    run slipway build --call=outline app
    failed_with 2
    says "'outline' is none of build, check"
    equal "$(slipway images -q)" ''
}

@test "check: JSON as docker writes it" {
    dockerfile 'FROM scratch' 'LABEL a=1 \' '  b=$x'
    run slipway check --json app
    failed_with 1
    equal "$(jq -c '.warnings[0] | [.ruleName, .detail, .url, .location, .line, .column]' <<<"$output")" \
        '["UndefinedVar","Usage of undefined variable '"'"'$x'"'"'","https://docs.docker.com/go/dockerfile/rule/undefined-var/",'"\
"'{"ranges":[{"start":{"line":2},"end":{"line":3}}]},3,5]'
    equal "$(slipway check --format json app | jq -c '.sources')" '[{"filename":"app/Dockerfile","language":"Dockerfile"}]'
    equal "$(slipway build --call=check,format=json app)" "$output"
    dockerfile 'FROM scratch'
    equal "$(slipway check --json app | jq -c .warnings)" '[]'
}

@test "check: what was found before an error is shown, and the error" {
    dockerfile 'FROM scratch as a' 'ENV A=${B?gone}'
    run slipway check app
    failed_with 2
    says '^app/Dockerfile:1:14: FromAsCasing: '
    says '^slipway: app/Dockerfile:2:7: ENV .*: B: gone'
    equal "$(slipway check --json app 2>errors | jq -r .buildError.message)" 'ENV ${B?gone}: B: gone'
    dockerfile 'FROM scratch' 'COYP a b'
    run slipway check app
    failed_with 2
    says 'unknown instruction'
}

@test "check: rules are left out by the Dockerfile, an instruction's comment and the build argument" {
    dockerfile '# check=skip=FromAsCasing' 'FROM scratch as a' '# check=skip=JSONArgsRecommended' 'CMD a' 'WORKDIR b'
    run slipway check app
    failed_with 1
    says WorkdirRelativePath
    says '^1 warning found'
    run slipway check --build-arg BUILDKIT_DOCKERFILE_CHECK=skip=all app
    succeeded
    dockerfile '# check=skp=all' 'FROM scratch'
    run slipway check app
    failed_with 2
    says "^slipway: app/Dockerfile:1: check: no option 'skp', did you mean skip="
}

@test "check: a target, a build argument, another Dockerfile" {
    dockerfile 'ARG V' 'FROM scratch AS one' 'WORKDIR a' 'FROM scratch AS two' 'COPY $V /'
    run slipway check --target two --build-arg V=1 app
    failed_with 1
    says_not WorkdirRelativePath
    says UndefinedVar
    printf 'FROM scratch\n' >other
    run slipway check -f other app
    succeeded
    run slipway check --target towo app
    failed_with 2
    says "did you mean"
}

@test "check: the pattern that leaves out a copied file" {
    dockerfile 'FROM scratch' 'COPY private.key /'
    printf '# keys\n*.key\n' >app/.dockerignore
    run slipway check app
    failed_with 1
    says '^app/Dockerfile:2:6: CopyIgnoredFile: Attempting to Copy file "private.key" that is excluded by .dockerignore'
    says '= see line 2: \*\.key'
}

@test "check: variables of a base that cannot be read are given the benefit of the doubt" {
    dockerfile 'FROM nowhere/at/all' 'ARG SOME' 'ENV A=$OTHER B=$SOEM'
    run slipway check --offline app
    failed_with 1
    says 'undefined variable .\$SOEM. \(did you mean \$SOME\?\)'
    says_not 'variable .\$OTHER'
    says "^note: the image 'nowhere/at/all' cannot be read"
}

@test "check: findings are warnings at a build's end, a few of them" {
    dockerfile 'FROM scratch as a' 'COPY Dockerfile /' 'CMD a'
    run slipway build --progress plain app
    succeeded
    says '^WARNING: app/Dockerfile:1: FromAsCasing: .*; write .AS.$'
    says '^WARNING: app/Dockerfile:3: JSONArgsRecommended: '
    printf 'FROM scratch\nEXPOSE%s\n' "$(printf ' %s/TCP' $(seq 1 10))" >app/Dockerfile
    run slipway build --progress plain app
    succeeded
    equal "$(grep -c '^WARNING: ' <<<"$output")" 6
    says "^WARNING: app/Dockerfile: 5 more findings; 'slipway check' shows them all"
}

@test "check: error=true ends a build before its first step" {
    dockerfile '# check=error=true' 'FROM scratch as a' 'COPY Dockerfile /'
    run slipway build --progress plain app
    failed_with 2
    says '^slipway: app/Dockerfile:2:14: lint violation found for rules: FromAsCasing \(check=error=true\)'
    says_not 'COPY Dockerfile'
    run slipway build --progress plain --build-arg BUILDKIT_DOCKERFILE_CHECK=error=false app
    succeeded
    dockerfile '# check=error=true' 'FROM scratch AS a' 'COPY Dockerfile /'
    run slipway build -q app
    succeeded
}

@test "check: a bad option of check= ends a build" {
    dockerfile '# check=error=perhaps' 'FROM scratch' 'COPY Dockerfile /'
    run slipway build -q app
    failed_with 2
    says '^slipway: app/Dockerfile:1: check: error=perhaps: it is true or false'
}
