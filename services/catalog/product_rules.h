// What a product must be to be taken into the catalogue.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "contracts/catalog/v1/catalog.pb.h"
#include "platform/base/status.h"

namespace starling::catalog {

// Every rule that a product breaks, as fields below `prefix` ("" or "products[3]."). The limits
// stand in catalog.proto.
std::vector<FieldViolation> ProductViolations(const v1::Product& product, std::string_view prefix);

// OK, or INVALID_ARGUMENT that names every field.
Status CheckProduct(const v1::Product& product, std::string_view prefix = "");
Status CheckProductId(std::string_view product_id, std::string_view field);

// Copies the fields that `paths` names from one product to another. "*" is every field.
// INVALID_ARGUMENT for a name that is no field, or one that only the catalogue sets.
Status ApplyMask(const v1::Product& from, const google::protobuf::FieldMask& mask, v1::Product& to);

// A set of a product's fields: bit n is the field with the number n.
using ProductFields = uint32_t;
// All when the mask names none, or "*". INVALID_ARGUMENT for a name that is no field.
StatusOr<ProductFields> ParseReadMask(const google::protobuf::FieldMask& mask);
// Copies product_id and those fields.
void CopyFields(const v1::Product& from, ProductFields fields, v1::Product& to);

// Whether two products say the same, whatever the catalogue set in them.
bool SameContent(const v1::Product& a, const v1::Product& b);

}  // namespace starling::catalog
