// Pieces of SVG. See svg.h.
#include "tools/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

#include "tools/text.h"

namespace lt::tool {

std::string escape_markup(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const size_t sequence = utf8_sequence(text);
    const auto byte = static_cast<unsigned char>(text[0]);
    if (sequence == 0 || (byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7f) {
      escaped += "\xEF\xBF\xBD";
    } else if (byte == '&') {
      escaped += "&amp;";
    } else if (byte == '<') {
      escaped += "&lt;";
    } else if (byte == '>') {
      escaped += "&gt;";
    } else if (byte == '"') {
      escaped += "&quot;";
    } else if (byte == '\'') {
      escaped += "&#39;";
    } else {
      escaped += text.substr(0, sequence);
    }
    text.remove_prefix(std::max<size_t>(sequence, 1));
  }
  return escaped;
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return "\u2013";
  char digits[40];
  if (std::fabs(value) >= 10000 && std::fabs(value) < 1e15) {
    const std::string whole = format_count(static_cast<uint64_t>(std::fabs(value) + 0.5));
    return value < 0 ? "-" + whole : whole;
  }
  std::snprintf(digits, sizeof digits, "%.4g", value);
  return digits;
}

double text_width(std::string_view text, double height) {
  double ems = 0;
  for (const char c : text) {
    if ((c & 0xC0) == 0x80) continue;  // belongs to the letter before
    ems += c == '%' ? 0.95 : c >= '0' && c <= '9' ? 0.64 : 0.58;
  }
  return ems * height;
}

std::string fit_text(std::string_view text, double width, double height) {
  if (text_width(text, height) <= width) return std::string(text);
  while (!text.empty() && text_width(text, height) + height > width) {
    char byte;
    do {
      byte = text.back();
      text.remove_suffix(1);
    } while (!text.empty() && (byte & 0xC0) == 0x80);  // a letter goes with all of its bytes
  }
  return std::string(text) + "\u2026";
}

std::string id_text(std::string_view text) {
  std::string id;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool capital = c >= 'A' && c <= 'Z';
    if (plain || capital) {
      id += capital ? static_cast<char>(c + ('a' - 'A')) : c;
    } else if (!id.empty() && id.back() != '-') {
      id += '-';
    }
  }
  while (!id.empty() && id.back() == '-') id.pop_back();
  return id.empty() ? "run" : id;
}

std::string run_color(unsigned index) { return "var(--c" + std::to_string(index % run_colors) + ")"; }

std::string_view picture_style() {
  // No run is grey: grey bars are published figures.
  return ":root{color-scheme:light dark;--paper:#fff;--ink:#1c2126;--soft:#545c65;--grid:#dfe3e8;--bar:#9aa4af;"
         "--c0:#1f6fb4;--c1:#c9540a;--c2:#1a8048;--c3:#a03fb0;--c4:#c0262d;--c5:#0f7f86;--c6:#80610f;--c7:#5b5bd6;"
         "--c8:#c72d7f;--c9:#4d7c0f}"
         "@media (prefers-color-scheme:dark){:root{--paper:#14181c;--ink:#e8ebee;--soft:#a9b2bb;--grid:#333b43;"
         "--bar:#6d7884;--c0:#6cb6ff;--c1:#ff9d57;--c2:#5fd38d;--c3:#d9a0e8;--c4:#ff8a8a;--c5:#4fd1d1;--c6:#d6b45c;"
         "--c7:#a5a5ff;--c8:#ff8fc4;--c9:#b5d94a}}"
         "@media print{:root{color-scheme:light;--paper:#fff;--ink:#1c2126;--soft:#545c65;--grid:#dfe3e8;--bar:#9aa4af;"
         "--c0:#1f6fb4;--c1:#c9540a;--c2:#1a8048;--c3:#a03fb0;--c4:#c0262d;--c5:#0f7f86;--c6:#80610f;--c7:#5b5bd6;"
         "--c8:#c72d7f;--c9:#4d7c0f}}"
         ".picture text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:var(--ink)}";
}

std::string standalone(const Picture& picture) {
  constexpr std::string_view opening = "<svg ";
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" " +
         picture.svg.substr(opening.size(), picture.svg.find('>') - opening.size() + 1) + "<style>" +
         std::string(picture_style()) + "svg{background:var(--paper)}</style>" +
         picture.svg.substr(picture.svg.find('>') + 1) + "\n";
}

std::string coordinate(double value) {
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.1f", value);
  std::string text = digits;
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

Svg::Svg(std::string id, std::string title, std::string description)
    : id_(std::move(id)), title_(std::move(title)), description_(std::move(description)) {}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view style) {
  body_ += "<line x1=\"" + coordinate(x1) + "\" y1=\"" + coordinate(y1) + "\" x2=\"" + coordinate(x2) + "\" y2=\"" +
           coordinate(y2) + "\" style=\"" + std::string(style) + "\"/>";
}

void Svg::rect(double x, double y, double width, double height, std::string_view style, std::string_view tooltip) {
  body_ += "<rect x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" width=\"" + coordinate(width) + "\" height=\"" +
           coordinate(height) + "\" style=\"" + std::string(style) + "\"";
  body_ += tooltip.empty() ? "/>" : "><title>" + escape_markup(tooltip) + "</title></rect>";
}

void Svg::circle(double x, double y, double radius, std::string_view style) {
  body_ += "<circle cx=\"" + coordinate(x) + "\" cy=\"" + coordinate(y) + "\" r=\"" + coordinate(radius) + "\" style=\"" +
           std::string(style) + "\"/>";
}

void Svg::path(std::string_view data, std::string_view style) {
  body_ += "<path d=\"" + std::string(data) + "\" style=\"" + std::string(style) + "\"/>";
}

void Svg::text(double x, double y, std::string_view text, Anchor anchor, std::string_view style) {
  body_ += "<text x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\"";
  if (anchor != Anchor::start) body_ += anchor == Anchor::middle ? " text-anchor=\"middle\"" : " text-anchor=\"end\"";
  if (!style.empty()) body_ += " style=\"" + std::string(style) + "\"";
  body_ += ">" + escape_markup(text) + "</text>";
}

void Svg::image(double x, double y, double width, double height, std::string_view png_base64) {
  body_ += "<image x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" width=\"" + coordinate(width) + "\" height=\"" +
           coordinate(height) + "\" style=\"image-rendering:pixelated\" href=\"data:image/png;base64," +
           std::string(png_base64) + "\"/>";
}

void Svg::heading() { text(0, 14, fit_text(title_, picture_width, 14), Anchor::start, "font-weight:600;font-size:14px"); }

Picture Svg::finish(double height) {
  std::string svg = "<svg class=\"picture\" viewBox=\"0 0 " + coordinate(picture_width) + " " + coordinate(height) +
                    "\" role=\"img\" aria-labelledby=\"" + id_ + "-t " + id_ + "-d\">";
  svg += "<title id=\"" + id_ + "-t\">" + escape_markup(title_) + "</title><desc id=\"" + id_ + "-d\">" +
         escape_markup(description_) + "</desc>" + body_ + "</svg>";
  return {id_, title_, std::move(svg)};
}

}  // namespace lt::tool
