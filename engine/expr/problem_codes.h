#pragma once
// Codes of problems that expressions can have, W04xx, one line each; W0509 is the
// clock's. `weir explain CODE` prints their pages.

namespace weir {

inline constexpr const char* kProblemSyntax = "W0401";         // not one SQL expression
inline constexpr const char* kProblemPlanned = "W0402";        // known, not in this version
inline constexpr const char* kProblemTooLarge = "W0403";       // text or tree beyond its bound
inline constexpr const char* kProblemUnknownColumn = "W0412";  // no such column
inline constexpr const char* kProblemAmbiguous = "W0413";      // several columns of that name
inline constexpr const char* kProblemUnknownParameter =
    "W0414";                                                     // param('x') without x in `params`
inline constexpr const char* kProblemUnknownFunction = "W0415";  // not in the allow-list
inline constexpr const char* kProblemArguments =
    "W0416";  // number or types of a function's arguments
inline constexpr const char* kProblemAggregate =
    "W0417";  // an aggregate where none may stand, or in another
inline constexpr const char* kProblemNotGrouped =
    "W0418";                                           // a column beside aggregates that is no key
inline constexpr const char* kProblemPlace = "W0419";  // random_* outside of a generator
inline constexpr const char* kProblemOperator = "W0421";      // no such operator for these types
inline constexpr const char* kProblemWrongType = "W0422";     // another type is expected here
inline constexpr const char* kProblemIncomparable = "W0423";  // no common type
inline constexpr const char* kProblemCast = "W0424";          // no such type or cast
inline constexpr const char* kProblemLiteral = "W0425";  // a literal that is no value of its type
inline constexpr const char* kProblemUntypedNull = "W0426";  // NULL without a type
inline constexpr const char* kProblemPattern =
    "W0427";  // a pattern, zone or format that does not compile or is not constant
inline constexpr const char* kProblemConstantFails =
    "W0428";  // warning: a constant part fails on every row
inline constexpr const char* kProblemClock =
    "W0509";  // warning: the clock where replays would differ

}  // namespace weir
