#!/usr/bin/env python3
"""Turns a terminal capture (text with ANSI colours on stdin) into an SVG on stdout.

    script -qec 'stty cols 100; .tools/bellwether demo' /dev/null | python3 tools/terminal_svg.py --from 'What broke' > docs/demo.svg
"""
import argparse
import html
import re
import sys

COLOURS = {"31": "#ff6b6b", "32": "#7bd88f", "33": "#fce566", "36": "#5ad4e6"}
CELL, LINE, PAD = 8.4, 19, 18

def spans(line):
    """Yields (text, css) for each run of one style."""
    bold = dim = False
    colour = None
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            for code in part[2:-1].split(";"):
                if code in ("", "0"):
                    bold = dim = False
                    colour = None
                elif code == "1":
                    bold = True
                elif code == "2":
                    dim = True
                elif code in COLOURS:
                    colour = COLOURS[code]
        elif part:
            fill = colour or ("#8a8f98" if dim else "#e6e6e6")
            yield part, f'fill="{fill}"' + (' font-weight="bold"' if bold else "")

def clean(text):
    text = text.replace("\r\n", "\n")
    # What a progress bar overwrote is gone; other control sequences are not part of a picture.
    lines = [line.split("\r")[-1] for line in text.split("\n")]
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-ln-z]", "", line).rstrip() for line in lines]
    return lines

def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="start", help="begin at the first line that has this")
    parser.add_argument("--lines", type=int, default=60)
    args = parser.parse_args()
    lines = clean(sys.stdin.read())
    if args.start:
        at = next((i for i, line in enumerate(lines) if args.start in line), 0)
        lines = lines[at:]
    lines = lines[: args.lines]
    columns = max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    width, height = columns * CELL + 2 * PAD, len(lines) * LINE + 2 * PAD
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" font-size="14" '
          'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace">')
    print(f'<rect width="100%" height="100%" rx="8" fill="#1e2127"/>')
    for row, line in enumerate(lines):
        column = 0
        for text, style in spans(line):
            x, y = PAD + column * CELL, PAD + (row + 0.75) * LINE
            # The length is fixed, so that columns line up in any font.
            print(f'<text x="{x:.1f}" y="{y:.1f}" textLength="{len(text) * CELL:.1f}" {style} '
                  f'xml:space="preserve">{html.escape(text)}</text>')
            column += len(text)
    print("</svg>")

if __name__ == "__main__":
    main()
