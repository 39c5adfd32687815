#!/usr/bin/env bats
# A pipeline on AWS as it is: the buildspec's five lines with slipway as `docker`, then `ship` alone; ECR's own answers in words.
# The stand-in (fixtures/ecr-stand-in) checks signatures and passwords strictly, in front of a real docker-registry.

load helpers

setup_file() {
    start_registry
    push_bases
    ECR_STATE=$BATS_FILE_TMPDIR/ecr
    ECR=$("$fixtures/ecr-stand-in" start "$ECR_STATE")
    export ECR ECR_STATE
}

teardown_file() {
    "$fixtures/ecr-stand-in" stop "$ECR_STATE"
    stop_registry
}

setup() {
    fresh_environment
    rm -f "$ECR_STATE"/faults/*
    : >"$ECR_STATE/log"
    export AWS_ACCOUNT_ID=123456789012 AWS_DEFAULT_REGION=eu-west-1 IMAGE_TAG=latest CONTAINER_NAME=web
    export AWS_ACCESS_KEY_ID=AKIDEXAMPLE AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
    export AWS_ENDPOINT_URL=http://127.0.0.1:$ECR
    HOST=$AWS_ACCOUNT_ID.dkr.ecr.$AWS_DEFAULT_REGION.amazonaws.com
    export SLIPWAY_REGISTRY_ENDPOINT=$HOST=http://127.0.0.1:$ECR
}

# A repository of the test's own, which ECR has.
ecr_repository() { # NAME [MUTABILITY]
    echo "${2:-MUTABLE}" >"$ECR_STATE/repositories/${1//\//%2F}"
}

fault() { # NAME WORDS
    echo "$2" >"$ECR_STATE/faults/$1"
}

log_lines() { # PATTERN
    grep -cE -- "$1" "$ECR_STATE/log" || true
}

# The image's manifest as the registry behind the stand-in has it.
ecr_manifest() { # NAME:TAG
    manifest "127.0.0.1:$(cat "$ECR_STATE/upstream/port")/$1"
}

# `docker` is slipway; `aws ecr get-login` prints what the first awscli printed. Its password comes from ECR by the awscli at hand.
tools() {
    mkdir bin
    ln -s "$SLIPWAY" bin/docker
    cat >bin/aws <<'END'
#!/bin/sh
[ "$1 $2 $3 $4" = "ecr get-login --no-include-email --region" ] || exit 64
password=$(/usr/bin/aws ecr get-login-password --region "$5" --endpoint-url "$AWS_ENDPOINT_URL") || exit
echo "docker login -u AWS -p $password https://$AWS_ACCOUNT_ID.dkr.ecr.$5.amazonaws.com"
END
    chmod 755 bin/aws
    PATH=$PWD/bin:$PATH
}

@test "buildspec: its five lines run unchanged with slipway as docker" {
    [ -x /usr/bin/aws ] || skip "needs awscli"
    site_context .
    tools
    export IMAGE_REPO_NAME=team/spec
    ecr_repository "$IMAGE_REPO_NAME"
    cat >commands <<'END'
$(aws ecr get-login --no-include-email --region $AWS_DEFAULT_REGION)
docker build -t $IMAGE_REPO_NAME:$IMAGE_TAG .
docker tag $IMAGE_REPO_NAME:$IMAGE_TAG $AWS_ACCOUNT_ID.dkr.ecr.$AWS_DEFAULT_REGION.amazonaws.com/$IMAGE_REPO_NAME:$IMAGE_TAG
docker push $AWS_ACCOUNT_ID.dkr.ecr.$AWS_DEFAULT_REGION.amazonaws.com/$IMAGE_REPO_NAME:$IMAGE_TAG
printf '[{"name":"%s","imageUri":"%s"}]' $CONTAINER_NAME $AWS_ACCOUNT_ID.dkr.ecr.$AWS_DEFAULT_REGION.amazonaws.com/$IMAGE_REPO_NAME:$IMAGE_TAG > imagedefinitions.json
END
    run sh -e commands
    succeeded
    equal "$(cat imagedefinitions.json)" "[{\"name\":\"web\",\"imageUri\":\"$HOST/team/spec:latest\"}]"
    ecr_manifest team/spec:latest >/dev/null
    # The one login was awscli's: docker's config comes before our own.
    equal "$(log_lines GetAuthorizationToken)" 1
}

@test "ship: alone replaces the five lines, with the same environment" {
    site_context .
    export IMAGE_REPO_NAME=team/shipped
    ecr_repository "$IMAGE_REPO_NAME"
    run slipway ship
    succeeded
    equal "$(python3 -c 'import json; print(json.load(open("imagedefinitions.json")))')" \
        "[{'name': 'web', 'imageUri': '$HOST/team/shipped:latest'}]"
    ecr_manifest team/shipped:latest >/dev/null
    equal "$(log_lines GetAuthorizationToken)" 1
    # No request without the password that is then refused.
    equal "$(log_lines ' 401( |$)')" 0
    [ ! -e "$HOME/.docker/config.json" ]
}

@test "ship: the region may come from the profile too" {
    site_context .
    export IMAGE_REPO_NAME=team/by-profile
    unset AWS_DEFAULT_REGION
    ecr_repository "$IMAGE_REPO_NAME"
    mkdir "$HOME/.aws"
    printf '[profile here]\nregion = eu-west-1\n' >"$HOME/.aws/config"
    AWS_PROFILE=here run slipway ship
    succeeded
    ecr_manifest team/by-profile:latest >/dev/null
}

@test "ecr: keys and passwords are in no file and no output" {
    site_context .
    ecr_repository hidden
    run slipway ship --progress=plain -t "$HOST/hidden:1"
    succeeded
    says_not 'wJalr|Basic|QVdTO'
    run grep -rlE 'wJalr|AKIDEXAMPLE|QVdTO' "$SLIPWAY_HOME" "$HOME"
    failed_with 1
}

@test "ecr: a pull asks for a password too, and blobs come from elsewhere without it" {
    site_context app
    ecr_repository pulled
    slipway build -t "$HOST/pulled:1" --push app
    : >"$ECR_STATE/log"
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/second run slipway pull "$HOST/pulled:1"
    succeeded
    equal "$(log_lines 'GetAuthorizationToken')" 1
    [ "$(log_lines '^GET .* bucket 200')" -gt 0 ]
    equal "$(log_lines 'bucket 4')" 0
}

@test "ecr: a repository that is not there is said in words, and made on request" {
    site_context app
    run slipway build -t "$HOST/new/one:1" --push app
    failed_with 4
    says "new/one.*does not exist in the registry with id '123456789012'"
    says '[-]-create-repository'
    run slipway build -t "$HOST/new/one:1" --push --create-repository app
    succeeded
    ecr_manifest new/one:1 >/dev/null
    # And where it is there already.
    echo more >app/site/more
    run slipway build -t "$HOST/new/one:2" --push --create-repository app
    succeeded
}

@test "ecr: who may not make repositories can still push into one" {
    site_context app
    ecr_repository made
    fault deny ecr:CreateRepository
    run slipway build --progress=plain -t "$HOST/made:1" --push --create-repository app
    succeeded
    says 'not authorized to perform: ecr:CreateRepository'
}

@test "ecr: an immutable tag with the same digest is done, with another it is exit code 6" {
    site_context app
    ecr_repository fixed IMMUTABLE
    slipway build -t "$HOST/fixed:1" --push app
    run slipway build -t "$HOST/fixed:1" --push app
    succeeded
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/second run slipway build -t "$HOST/fixed:1" --push app
    succeeded
    echo other >app/site/index.html
    run slipway build -t "$HOST/fixed:1" --push app
    failed_with 6
    says 'immutable'
}

@test "ecr: an expired password is renewed and the request repeated" {
    site_context app
    ecr_repository renewed
    fault expired-token 1
    run slipway build -t "$HOST/renewed:1" --push app
    succeeded
    equal "$(log_lines GetAuthorizationToken)" 2
    # Also one that docker's config has had for too long.
    sleep 1
    local password
    password=$(slipway_password)
    printf '%s' "$password" | slipway login -u AWS --password-stdin "$HOST"
    sleep 1
    fault revoke now
    echo again >app/site/index.html
    run slipway build -t "$HOST/renewed:2" --push app
    succeeded
}

@test "ecr: a password that is over half-way through a blob is renewed, and the blob sent anew" {
    context app <<'END'
FROM scratch
COPY large /
END
    head -c 3000000 /dev/urandom >app/large
    ecr_repository half-way
    fault expired-upload 1
    run slipway build -t "$HOST/half-way:1" --push app
    succeeded
    equal "$(log_lines GetAuthorizationToken)" 2
    layer_blob "127.0.0.1:$(cat "$ECR_STATE/upstream/port")/half-way:1" | tar -xzO large | cmp - app/large
}

slipway_password() {
    python3 - <<'END'
import base64, datetime, hashlib, hmac, json, os, urllib.request
now = datetime.datetime.now(datetime.timezone.utc)
stamp, day, host = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d"), os.environ["AWS_ENDPOINT_URL"][7:]
headers = {"content-type": "application/x-amz-json-1.1", "host": host, "x-amz-date": stamp,
           "x-amz-target": "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"}
names = ";".join(sorted(headers))
lines = "".join("%s:%s\n" % (n, headers[n]) for n in sorted(headers))
canonical = "\n".join(["POST", "/", "", lines, names, hashlib.sha256(b"{}").hexdigest()])
scope = day + "/eu-west-1/ecr/aws4_request"
key = ("AWS4" + os.environ["AWS_SECRET_ACCESS_KEY"]).encode()
for part in scope.split("/"):
    key = hmac.new(key, part.encode(), "sha256").digest()
text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
headers["authorization"] = "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s" % (
    os.environ["AWS_ACCESS_KEY_ID"], scope, names, hmac.new(key, text.encode(), "sha256").hexdigest())
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
answer = json.load(opener.open(urllib.request.Request(os.environ["AWS_ENDPOINT_URL"] + "/", b"{}", headers)))
print(base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode().split(":", 1)[1])
END
}

@test "ecr: throttling is waited out, by the API and by the registry" {
    site_context app
    ecr_repository busy
    fault throttle-api 2
    fault throttle-registry 3
    run slipway build -t "$HOST/busy:1" --push app
    succeeded
    equal "$(log_lines 'GetAuthorizationToken 400')" 2
    equal "$(log_lines 'registry 429')" 3
}

@test "ecr: a lack of rights names the action and the repository" {
    site_context app
    ecr_repository closed
    fault deny ecr:InitiateLayerUpload
    run slipway build -t "$HOST/closed:1" --push app
    failed_with 3
    says 'not authorized to perform: ecr:InitiateLayerUpload on resource: arn:aws:ecr:eu-west-1:123456789012:repository/closed'
    fault deny ecr:BatchCheckLayerAvailability
    run slipway build -t "$HOST/closed:1" --push app
    failed_with 3
    says '/v2/closed/blobs/.*needs ecr:BatchCheckLayerAvailability'
    fault deny ecr:GetAuthorizationToken
    run slipway build -t "$HOST/closed:2" --push app
    failed_with 3
    says 'ecr:GetAuthorizationToken: AccessDeniedException'
}

@test "ecr: who may push but not read can push" {
    site_context app
    ecr_repository write-only
    fault deny ecr:BatchGetImage
    run slipway build -t "$HOST/write-only:1" --push app
    succeeded
    run slipway push "$HOST/write-only:1"
    succeeded
    run slipway pull "$HOST/write-only:1"
    failed_with 3
    says 'ecr:BatchGetImage'
}

@test "ecr: a wrong secret and no keys at all are errors of authentication, never an anonymous push" {
    site_context app
    ecr_repository guarded
    AWS_SECRET_ACCESS_KEY=wrong run slipway build -t "$HOST/guarded:1" --push app
    failed_with 3
    says 'signature'
    says 'environment'
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    : >"$ECR_STATE/log"
    run slipway build -t "$HOST/guarded:1" --push app
    failed_with 3
    says 'no AWS credentials'
    equal "$(log_lines registry)" 0
}

@test "ecr: the public registry takes a bought token for a push, and anybody for a pull" {
    local state=$BATS_TEST_TMPDIR/public port
    site_context app
    port=$("$fixtures/ecr-stand-in" start "$state" --public yes)
    echo MUTABLE >"$state/repositories/alias%2Fsite"
    export SLIPWAY_REGISTRY_ENDPOINT=public.ecr.aws=http://127.0.0.1:$port AWS_ENDPOINT_URL=http://127.0.0.1:$port
    echo 1 >"$state/faults/expired-token"
    run slipway build -t public.ecr.aws/alias/site:1 --push app
    local pushed=$status
    show
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    SLIPWAY_HOME=$BATS_TEST_TMPDIR/second run slipway pull public.ecr.aws/alias/site:1
    show
    cat "$state/log"
    "$fixtures/ecr-stand-in" stop "$state"
    equal "$pushed" 0
    succeeded
    grep -q 'SpencerFrontendService.GetAuthorizationToken 200' "$state/log"
    grep -q ' 400 ' "$state/log"
}

@test "codecommit: a clone signs its own password, also with temporary keys and the region of a profile" {
    local state=$BATS_TEST_TMPDIR/codecommit repositories=$BATS_TEST_TMPDIR/repositories port
    mkdir -p "$state" "$repositories/v1/repos" "$HOME/.aws"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout "$state/key" \
        -out "$state/certificate" 2>/dev/null
    cat "$state/key" "$state/certificate" >"$state/pem"
    site_context app
    git init --quiet --bare "$repositories/v1/repos/Shop.1"
    git -C app init --quiet
    git -C app add --all
    commit app first
    git -C app push --quiet "$repositories/v1/repos/Shop.1" HEAD:main
    port=$("$fixtures/git-server" start "$state" "$repositories" --codecommit "eu-north-1/AKIDEXAMPLE:s/e+c:t/o+k=")
    printf '[team]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = s/e+c\naws_session_token = t/o+k=\nregion = eu-north-1\n' \
        >"$HOME/.aws/credentials"
    export CODE_COMMIT_ENDPOINT=localhost:$port GIT_SSL_CAINFO=$state/certificate no_proxy=localhost
    run slipway build -o type=local,dest=out codecommit://team@Shop.1
    local first=$status
    show
    run slipway build -o type=local,dest=out2 codecommit::eu-north-1://team@Shop.1
    local second=$status
    show
    AWS_PROFILE=team run slipway build -o type=local,dest=out3 codecommit::eu-west-1://Shop.1
    local wrong=$status
    show
    unset GIT_SSL_CAINFO
    run slipway build codecommit://team@Shop.1
    local stranger=$status certificate=$output system=0
    if [ "$(id -u)" = 0 ]; then
        # shellcheck disable=SC2016
        run unshare -m sh -c 'mount --bind "$1" /etc/ssl/certs/ca-certificates.crt && "$2" build codecommit://team@Shop.1' sh \
            "$state/certificate" "$SLIPWAY"
        system=$status
        show
    fi
    "$fixtures/git-server" stop "$state"
    equal "$first $second $wrong $stranger $system" "0 0 3 4 0"
    equal "$(cat out/srv/site/index.html)" "<h1>hello</h1>"
    grep -q certificate <<<"$certificate"
}

@test "ecr: a clock that is wrong is allowed for" {
    site_context app
    ecr_repository late
    fault clock 4000
    run slipway build -t "$HOST/late:1" --push app
    succeeded
    fault clock -90000
    echo again >app/site/index.html
    run slipway build -t "$HOST/late:2" --push app
    succeeded
}

@test "ecr: a helper that docker's config names for the host comes before our own login" {
    site_context app
    ecr_repository helped
    mkdir bin "$HOME/.docker"
    echo "{\"credHelpers\": {\"$HOST\": \"ours\"}}" >"$HOME/.docker/config.json"
    printf '#!/bin/sh\necho "{\\"Username\\": \\"AWS\\", \\"Secret\\": \\"%s\\"}"\n' "$(slipway_password)" >bin/docker-credential-ours
    chmod 755 bin/docker-credential-ours
    : >"$ECR_STATE/log"
    PATH=$PWD/bin:$PATH run slipway build -t "$HOST/helped:1" --push app
    succeeded
    equal "$(log_lines GetAuthorizationToken)" 0
}

# AWS's own helper asks AWS's own name, which is the stand-in's here: in a mount namespace, behind TLS.
@test "ecr: amazon-ecr-credential-helper gets the password where docker's config names it" {
    needs_root
    command -v docker-credential-ecr-login >/dev/null || skip "needs amazon-ecr-credential-helper"
    site_context app
    ecr_repository by-helper
    mkdir "$HOME/.docker"
    echo "{\"credHelpers\": {\"$HOST\": \"ecr-login\"}}" >"$HOME/.docker/config.json"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=api -addext subjectAltName=DNS:api.ecr.eu-west-1.amazonaws.com -keyout key \
        -out certificate 2>/dev/null
    echo '127.9.8.7 api.ecr.eu-west-1.amazonaws.com' >hosts
    "$BATS_TEST_DIRNAME/tcp-front" 127.9.8.7 443 "$ECR" certificate key >ready 2>&1 3>&- &
    local front=$!
    for _ in $(seq 50); do [ -s ready ] || sleep 0.1; done
    grep -qx 443 ready || { kill "$front" || true; skip "the port is taken"; }
    unset AWS_ENDPOINT_URL
    # shellcheck disable=SC2016
    SSL_CERT_FILE=$PWD/certificate run unshare -m sh -c 'mount --bind hosts /etc/hosts && exec "$@"' sh "$SLIPWAY" build -t "$HOST/by-helper:1" --push app
    kill "$front"
    succeeded
    equal "$(log_lines 'GetAuthorizationToken 200')" 1
    # It was the helper who asked.
    grep -q authorizationToken -i "$HOME/.ecr/cache.json"
    rm -r "$HOME/.ecr"
    # Without keys it says that there are no credentials: nothing goes on anonymously.
    : >"$ECR_STATE/log"
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    echo more >app/site/more
    run slipway build -t "$HOST/by-helper:2" --push app
    failed_with 3
    says 'no AWS credentials'
    equal "$(log_lines registry)" 0
}

# Where keys come from. Each way ends in a push.

pushes() { # NAME
    ecr_repository "$1"
    mkdir -p app
    printf 'FROM scratch\nCOPY Dockerfile /\n' >app/Dockerfile
    run slipway build -t "$HOST/$1:1" --push app
    succeeded
}

no_keys() {
    unset AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    mkdir -p "$HOME/.aws"
}

# A profile that signs in with aws sso login, whose token lies in $SSO_TOKEN.
sso_profile() {
    no_keys
    mkdir -p "$HOME/.aws/sso/cache"
    cat >"$HOME/.aws/config" <<'END'
[default]
sso_session = team
sso_account_id = 123456789012
sso_role_name = Deploy
[sso-session team]
sso_start_url = https://example.awsapps.com/start
sso_region = eu-west-1
END
    SSO_TOKEN=$HOME/.aws/sso/cache/$(printf team | sha1sum | cut -c1-40).json
}

@test "keys: of the container, by a whole URL with a token in a file" {
    no_keys
    printf container-token >token
    export AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$ECR/container-keys AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$PWD/token
    fault lost-keys 1
    pushes from-container
    equal "$(log_lines 'container 200')" 1
    equal "$(log_lines 'container 500')" 1
    AWS_CONTAINER_CREDENTIALS_FULL_URI=http://192.0.2.1/keys run slipway pull "$HOST/from-container:1"
    failed_with 3
    says 'AWS_CONTAINER_CREDENTIALS_FULL_URI'
}

@test "keys: of the container by a path, at its own address" {
    needs_root
    unshare --net true 2>/dev/null || skip "needs network namespaces"
    no_keys
    export AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/container-keys
    # A namespace where that address is ours, and a server that hands out keys that nobody takes.
    cat >server.py <<'END'
import http.server, json, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.path, self.headers.get("Authorization"), file=sys.stderr, flush=True)
        body = json.dumps({"AccessKeyId": "ASIAX", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a):
        pass
http.server.HTTPServer(("169.254.170.2", 80), H).serve_forever()
END
    cat >inside <<'END'
ip link set lo up && ip address add 169.254.170.2/32 dev lo || exit 99
python3 server.py 2>asked & pid=$!
sleep 1
http_proxy=http://127.0.0.1:9 "$1" pull --retry 1 "$2"
status=$?
kill $pid
exit $status
END
    run unshare --net sh inside "$SLIPWAY" "$HOST/x:1"
    [ "$status" -ne 99 ] || skip "needs iproute2"
    says 'ecr:GetAuthorizationToken'
    equal "$(cat asked)" "/container-keys None"
}

@test "keys: of the machine, by its metadata service in version 2" {
    no_keys
    unset AWS_EC2_METADATA_DISABLED
    export AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$ECR
    pushes from-machine
    [ "$(log_lines 'metadata 200')" -ge 3 ]
}

@test "keys: of a role, bought with those of another profile, in a chain" {
    no_keys
    cat >"$HOME/.aws/credentials" <<'END'
[base]
aws_access_key_id = AKIDEXAMPLE
aws_secret_access_key = wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY
END
    cat >"$HOME/.aws/config" <<'END'
[profile first]
role_arn = arn:aws:iam::123456789012:role/first
source_profile = base
[profile second]
role_arn = arn:aws:iam::123456789012:role/guarded
source_profile = first
external_id = sesame
region = eu-west-1
[profile closed]
role_arn = arn:aws:iam::123456789012:role/guarded
source_profile = base
[profile ring]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = gnir
[profile gnir]
role_arn = arn:aws:iam::123456789012:role/x
source_profile = ring
END
    AWS_PROFILE=second pushes from-role
    equal "$(log_lines 'AssumeRole 200 AKIDEXAMPLE')" 1
    equal "$(log_lines 'AssumeRole 200 ASIA')" 1
    AWS_PROFILE=closed run slipway pull "$HOST/from-role:1"
    failed_with 3
    says 'role/guarded.*AccessDenied.*sts:AssumeRole'
    AWS_PROFILE=ring run slipway pull "$HOST/from-role:1"
    failed_with 3
    says 'circle'
    AWS_PROFILE=nobody run slipway pull "$HOST/from-role:1"
    failed_with 3
    says "'nobody' is neither in"
}

@test "keys: of a web identity" {
    no_keys
    echo web-identity-token >token
    export AWS_WEB_IDENTITY_TOKEN_FILE=$PWD/token AWS_ROLE_ARN=arn:aws:iam::123456789012:role/pod
    pushes from-web-identity
    echo wrong >token
    run slipway pull "$HOST/from-web-identity:1"
    failed_with 3
    says 'InvalidIdentityToken: No OpenIDConnect provider found in your account for "x"'
    says_not wrong
}

@test "keys: by a program, which is run without a shell" {
    no_keys
    cat >keys <<'END'
#!/bin/sh
[ "$1|$2" = "a b|\$HOME" ] || exit 3
echo '{"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}'
END
    chmod 755 keys
    printf '[default]\ncredential_process = "%s/keys" "a b" $HOME\n' "$PWD" >"$HOME/.aws/config"
    pushes from-program
    printf '[default]\ncredential_process = "%s/keys" other\n' "$PWD" >"$HOME/.aws/config"
    run slipway pull "$HOST/from-program:1"
    failed_with 3
    says 'credential_process.*status 3'
}

@test "keys: with the token that aws sso login keeps" {
    sso_profile
    local file=$SSO_TOKEN
    echo '{"accessToken": "sso-token", "expiresAt": "2099-01-01T00:00:00Z"}' >"$file"
    pushes from-sso
    echo '{"accessToken": "sso-token", "expiresAt": "2020-01-01T00:00:00Z"}' >"$file"
    run slipway pull "$HOST/from-sso:1"
    failed_with 3
    says 'aws sso login'
}

@test "keys: a token of aws sso login that is over is renewed where its session can be, and kept" {
    sso_profile
    local file=$SSO_TOKEN
    cat >"$file" <<'END'
{"startUrl": "https://example.awsapps.com/start", "region": "eu-west-1", "accessToken": "old", "expiresAt": "2020-01-01T00:00:00Z",
 "clientId": "client", "clientSecret": "client-secret", "registrationExpiresAt": "2099-01-01T00:00:00Z", "refreshToken": "refresh-1"}
END
    pushes from-renewed-sso
    equal "$(log_lines 'sso-oidc 200')" 1
    grep -q '"refreshToken":"refresh-2"' "$file"
    grep -q '"startUrl"' "$file"
    equal "$(stat -c %a "$file")" 600
    # The token is good for hours now.
    slipway pull "$HOST/from-renewed-sso:1"
    equal "$(log_lines 'sso-oidc')" 1
    # A refresh token that is spent is a person's affair.
    sed -i 's/"expiresAt":"[^"]*"/"expiresAt":"2020-01-01T00:00:00Z"/; s/refresh-2/refresh-1/' "$file"
    run slipway pull "$HOST/from-renewed-sso:1"
    failed_with 3
    says 'aws sso login'
    says_not 'client-secret|refresh-1'
}

@test "keys: that AWS refuses as expired are fetched again" {
    no_keys
    export AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$ECR/container-keys AWS_CONTAINER_AUTHORIZATION_TOKEN=container-token
    fault expired-keys 1
    pushes renewed-keys
    equal "$(log_lines 'container 200')" 2
}

@test "keys: botocore takes the same ones, whatever environment and profiles say" {
    local status=0
    SLIPWAY=$SLIPWAY "$BATS_TEST_DIRNAME/botocore-chain" 50 >chain || status=$?
    [ "$status" -ne 77 ] || skip "needs botocore"
    cat chain
    equal "$status" 0
    grep -qE '^50 cases, [1-9][0-9]* with keys, 0 differ$' chain
}

# The hosts are those that botocore asks. Nobody listens at the proxy, so no name is looked up.
@test "keys: the validated and dual-stack names of the services, for who wishes them" {
    unset AWS_ENDPOINT_URL SLIPWAY_REGISTRY_ENDPOINT
    export https_proxy=http://127.0.0.1:1 SLIPWAY_RETRY=0
    asks() { # REGISTRY HOST
        run slipway pull "123456789012.$1/x:1"
        [ "$status" -ne 0 ]
        says "https://$2/"
    }
    asks dkr.ecr.eu-west-1.amazonaws.com api.ecr.eu-west-1.amazonaws.com
    asks dkr.ecr-fips.us-east-1.amazonaws.com ecr-fips.us-east-1.amazonaws.com
    asks dkr-ecr.eu-west-1.on.aws ecr.eu-west-1.api.aws
    asks dkr-ecr-fips.us-east-1.on.aws ecr-fips.us-east-1.api.aws
    asks dkr.ecr.cn-north-1.amazonaws.com.cn api.ecr.cn-north-1.amazonaws.com.cn
    AWS_USE_FIPS_ENDPOINT=true asks dkr.ecr.us-gov-west-1.amazonaws.com ecr-fips.us-gov-west-1.amazonaws.com
    AWS_USE_DUALSTACK_ENDPOINT=true asks dkr.ecr.eu-west-1.amazonaws.com ecr.eu-west-1.api.aws
    no_keys
    printf '[default]\nrole_arn = arn:aws:iam::123456789012:role/x\ncredential_source = Environment\nuse_fips_endpoint = true\n' >"$HOME/.aws/config"
    printf '[keys]\naws_access_key_id = A\naws_secret_access_key = b\n' >"$HOME/.aws/credentials"
    sed -i 's/credential_source = Environment/source_profile = keys/' "$HOME/.aws/config"
    asks dkr.ecr.eu-west-1.amazonaws.com sts-fips.eu-west-1.amazonaws.com
}

@test "doctor: says which source answered" {
    run slipway doctor
    succeeded
    says '^ok +AWS credentials +from the environment \(AWS_ACCESS_KEY_ID\); region eu-west-1'
    no_keys
    run slipway doctor
    succeeded
    says '^ok +AWS credentials +none'
    AWS_EC2_METADATA_DISABLED=false AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:$ECR run slipway doctor
    succeeded
    says "from the machine's metadata service, role 'build-role'"
    printf container-token >token
    AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$ECR/container-keys AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=$PWD/token run slipway doctor
    says "from the container's credentials endpoint"
    AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:$ECR/container-keys run slipway doctor
    says '^problem +AWS credentials +AWS credentials of the container: its endpoint: HTTP 401'
}

@test "run: sees nothing of the caller's AWS environment" {
    needs_root
    context app <<'END'
FROM conformance/busybox:1
RUN env | grep AWS && exit 1; echo clean
END
    export AWS_SESSION_TOKEN=t AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/x
    run slipway build --progress=plain app
    succeeded
    says clean
}
