// Package view turns facts and decisions into what people read: tables, the
// bodies of pull requests, the domain diff, the static pages of a cycle, the
// audit.
//
// It renders and does nothing else. What is due, halted, looser or missing was
// decided in package rules or found by factory and arrives here as a value;
// view chooses words, order on the page and glyphs. Nothing here reads a file,
// a clock or the network, so the same value gives the same bytes anywhere.
//
// Everything that comes from a vendor, a tenant or a pull request is hostile
// until it is rendered: tables drop control characters, CSV cells cannot begin
// a formula, Markdown is neutralised (no mention, link or HTML survives), and
// pages go through html/template under a policy that loads nothing.
//
// Every state is told by a glyph, a word and, where there is one, a number;
// never by colour alone.
package view
