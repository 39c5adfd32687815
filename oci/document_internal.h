/* What the files of oci/document.h share. */
#ifndef SLIPWAY_OCI_DOCUMENT_INTERNAL_H
#define SLIPWAY_OCI_DOCUMENT_INTERNAL_H

#include "oci/document.h"

/* How far OFFERED is from WANTED: 0 the same, more is worse, -1 cannot serve. */
int platform_distance(const struct platform *wanted, const struct platform *offered);

#endif
