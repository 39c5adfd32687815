/*
 * One signed request to a service of AWS that speaks JSON 1.1 (POST, X-Amz-Target).
 */
#ifndef SLIPWAY_AWS_CALL_H
#define SLIPWAY_AWS_CALL_H

#include "aws/credentials.h"
#include "base/json.h"

/* All borrowed. */
struct aws_call {
    const char *url;     /* "https://api.ecr.eu-west-1.amazonaws.com/" */
    const char *region;  /* that the signature is for */
    const char *service; /* that the signature is for: "ecr" */
    const char *target;  /* "AmazonEC2ContainerRegistry_V20150921" */
    const char *action;  /* "GetAuthorizationToken" */
    const char *body;    /* JSON */
};

/* The code of a refusal: "RepositoryAlreadyExistsException"; "" where the answer has none. */
enum { AWS_CODE_SIZE = 96 };

/* Signs and sends CALL as IDENTITY; throttled and failing requests are repeated (base/http.h), keys
 * that are refused as expired are fetched again once, a clock that is wrong is allowed for once.
 * *ANSWER_OUT is the caller's. A refusal is an error in AWS's words with the action's name
 * (ERR_AUTH where rights or keys are lacking, else ERR_REMOTE), and its code is in CODE_OUT. */
int aws_call(struct aws_identity *identity, const struct aws_call *call, json_t **answer_out,
             char code_out[AWS_CODE_SIZE], struct error *err);

#endif
