// Files over HTTP: those compiled into the binary, or a folder.
//
//   router.Add(Verb::kGet, "/console/{file=**}", ServeFiles(kConsoleFiles, {}));
//   STARLING_ASSIGN_OR_RETURN(Handler handler, ServeFolder(runtime.blocking(), "web/dist", {}));
//   router.Add(Verb::kGet, "/{file=**}", handler);
//
// The file's name is the path parameter `file`, "" and names that end in '/' get `index` appended.
// Answers carry a content type by extension, `X-Content-Type-Options: nosniff`, Cache-Control and a
// strong ETag; If-None-Match is answered with 304. HEAD works through the router. Compressed forms
// of a compiled-in file are kept once somebody asked for them (coding/encoded_forms.h).
//
// No path leaves the folder: segments that are "..", begin with '.', or hold '\' or an encoded
// slash are 404, and so is a name that passes through a symbolic link. Folder files are read whole,
// on the blocking pool, at each request; one above max_file_bytes is 404.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "platform/async/blocking_pool.h"
#include "platform/base/embedded_file.h"
#include "platform/http/exchange.h"

namespace starling::http {

struct StaticFilesOptions {
  std::string index = "index.html";
  // Served with 200 for names that do not exist and have no extension: a single-page application's
  // entry. "": 404.
  std::string fallback;
  std::string cache_control = "no-cache";  // revalidate by ETag
  uint64_t max_file_bytes = 64 * 1024 * 1024;
};

// `files` must live as long as the handler, as embedded files do.
Handler ServeFiles(std::span<const EmbeddedFile> files, StaticFilesOptions options);

// INVALID_ARGUMENT when `folder` is not a folder that can be read. The pool must outlive the
// handler.
StatusOr<Handler> ServeFolder(BlockingPool& pool, std::string_view folder,
                              StaticFilesOptions options);

// "text/html; charset=utf-8" for "index.html"; "application/octet-stream" for what is unknown.
std::string_view ContentType(std::string_view file_name);

}  // namespace starling::http
