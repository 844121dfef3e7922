// Puts the OpenAPI 3.1 document of a process together from the pieces that the generator wrote for
// each service.
#pragma once

#include <span>
#include <string>

#include "platform/rpc/descriptor.h"

namespace starling::rpc {

// JSON. Paths in the order of their names; a path variable keeps its dotted name
// ("product.product_id"). `version` is the product's, such as "0.1.0".
std::string OpenApiDocument(std::span<const ServiceDescriptor* const> services,
                            std::string_view version);

}  // namespace starling::rpc
