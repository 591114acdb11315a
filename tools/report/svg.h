// Text of an SVG picture, put together piece by piece. Coordinates are in units of the picture, which is 420 wide: it is
// drawn that large on a phone, and then its 12-unit letters can be read. Colours are names of the style sheet, so that one
// picture serves on light and dark paper. One thread.
#pragma once

#include <string>
#include <string_view>

namespace lt::tool {

inline constexpr double picture_width = 420, letter_height = 12;
inline constexpr unsigned run_colors = 10;

// For text and for attributes in double quotes; what is no UTF-8, or a control character, becomes U+FFFD.
std::string escape_markup(std::string_view text);
// "12", "12.3", "0.00123", "1.2e-05": four digits that count, no trailing zeros.
std::string short_number(double value);
// About what the letters take.
double text_width(std::string_view text, double height = letter_height);
// Cut to fit, with an ellipsis.
std::string fit_text(std::string_view text, double width, double height = letter_height);
// Lower-case letters, digits and dashes: for ids and file names.
std::string id_text(std::string_view text);

// "var(--c3)": a run's colour, which is another one on dark paper.
std::string run_color(unsigned index);
// The style sheet of the colours, light and dark.
std::string_view picture_style();

struct Picture {
  std::string id, title, svg;
};
// As a file of its own: with name space and style.
std::string standalone(const Picture& picture);

enum class Anchor { start, middle, end };

class Svg {
 public:
  Svg(std::string id, std::string title, std::string description);

  // `style` holds declarations such as "fill:var(--ink)".
  void line(double x1, double y1, double x2, double y2, std::string_view style);
  void rect(double x, double y, double width, double height, std::string_view style, std::string_view tooltip = {});
  void circle(double x, double y, double radius, std::string_view style);
  void path(std::string_view data, std::string_view style);
  void text(double x, double y, std::string_view text, Anchor anchor = Anchor::start, std::string_view style = {});
  void image(double x, double y, double width, double height, std::string_view png_base64);
  // The title in bold at the top, where there is room for it: 22 units.
  void heading();

  Picture finish(double height);

 private:
  std::string id_, title_, description_, body_;
};

// "12.3": a coordinate, a tenth of a unit fine.
std::string coordinate(double value);

}  // namespace lt::tool
