// Blobs as objects of a bucket on S3 or what speaks its API (MinIO, Ceph): for several machines.
//
//   STARLING_ASSIGN_OR_RETURN(auto store, blob::OpenS3({.url = "http://127.0.0.1:9000",
//       .bucket = "shop", .access_key = ..., .secret_key = ...}, runtime));
//
// API version 2006-03-01: PutObject, CreateMultipartUpload, UploadPart, CompleteMultipartUpload,
// AbortMultipartUpload, GetObject with Range and If-Match, HeadObject, DeleteObject, ListObjectsV2;
// If-None-Match: * for only_if_absent. Plain HTTP: bodies are signed and cannot be altered, but may
// be read on the way; put a proxy that speaks TLS on this machine where that matters.
//
// The SHA-256 of a blob is x-amz-meta-sha256, so an object that others put is DATA_LOSS here. Above
// part_bytes a blob goes in parts, one after the other, each tried again by itself; one that fails
// is aborted, and what a crash leaves is for the bucket's rule AbortIncompleteMultipartUpload.
//
// A put whose answer was lost is not taken for another's: x-amz-meta-put, a new id for each Put,
// tells. Requests, bounds and errors: s3/client.h. One request moves 8 MiB at most.
#pragma once

#include <memory>

#include "platform/async/runtime.h"
#include "platform/storage/blob/s3/options.h"
#include "platform/storage/blob/store.h"

namespace starling::blob {

// Asks whether the bucket can be listed. The runtime must outlive the store.
StatusOr<std::unique_ptr<Store>> OpenS3(s3::Options options, Runtime& runtime,
                                        const Clock& clock = SystemClock());

}  // namespace starling::blob
