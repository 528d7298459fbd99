"""The growth of the server's rows with the number of nodes, as one SVG: small panels, both axes logarithmic."""
import math

W, H, LEFT, TOP, GAP_X, GAP_Y, COLS = 236, 150, 62, 66, 84, 74, 3
OURS, THEIRS, INK, SOFT, GRID = '#0b6bcb', '#b3541e', '#1f2328', '#59636e', '#d9dee3'
FONT = 'font-family="ui-sans-serif, system-ui, sans-serif"'


def text(x, y, s, size=11, fill=SOFT, anchor='start', weight='normal'):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" text-anchor="{anchor}" '
            f'font-weight="{weight}" {FONT}>{s}</text>')


def number(v):
    if v >= 10000:
        return f'{v / 1000:.0f}k'
    return f'{v:.0f}' if v >= 10 else f'{v:.1f}'


def amount(v, unit):
    if unit == 'us' and v >= 1000:
        return number(v / 1000) + ' ms'
    return number(v) + ' ' + unit


class Panel:
    def __init__(self, i, sizes, series, title, unit):
        self.x0 = LEFT + i % COLS * (W + GAP_X)
        self.y0 = TOP + i // COLS * (H + GAP_Y)
        self.sizes, self.series, self.title, self.unit = sizes, series, title, unit
        values = [v for points in series.values() for _, v in points]
        self.low, self.high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        if self.high == self.low:
            self.high += 1

    def x(self, n):
        low, high = math.log10(self.sizes[0]), math.log10(self.sizes[-1])
        return self.x0 + (W * (math.log10(n) - low) / (high - low) if high > low else W / 2)

    def y(self, v):
        return self.y0 + H - H * (math.log10(v) - self.low) / (self.high - self.low)

    def draw(self):
        out = [text(self.x0, self.y0 - 12, self.title, 12, INK, weight='600')]
        for e in range(self.low, self.high + 1):
            y = self.y(10 ** e)
            out.append(f'<line x1="{self.x0}" x2="{self.x0 + W}" y1="{y:.1f}" y2="{y:.1f}" stroke="{GRID}"/>')
            out.append(text(self.x0 - 6, y + 4, amount(10 ** e, self.unit), 10, anchor='end'))
        for n in self.sizes:
            out.append(text(self.x(n), self.y0 + H + 16, f'{n:,}', 10, anchor='middle'))
        for (name, points), color in zip(self.series.items(), (OURS, THEIRS)):
            out += self.line(name, points, color)
        return out

    def line(self, name, points, color):
        path = ' '.join(f'{self.x(n):.1f},{self.y(v):.1f}' for n, v in points)
        out = [f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>']
        above = name != 'Picket' or len(self.series) == 1
        for n, v in points:
            x, y = self.x(n), self.y(v)
            anchor = 'start' if n == self.sizes[0] else 'end' if n == self.sizes[-1] else 'middle'
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"><title>{name}, {n:,} nodes: '
                       f'{amount(v, self.unit)}</title></circle>')
            out.append(text(x, y - 8 if above else y + 16, amount(v, self.unit), 10, color, anchor))
        return out


def growth(both, rows, nomad_name):
    """both: {'picket': {n: figures}, 'nomad': {n: figures}}; rows: (key, title, unit)"""
    sizes = sorted(both['picket'])
    lines = (len(rows) + COLS - 1) // COLS
    width, height = LEFT + COLS * W + (COLS - 1) * GAP_X + 30, TOP + lines * (H + GAP_Y) - 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
           'aria-label="Cost of the server by number of nodes">',
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
           text(LEFT, 26, 'Cost by number of nodes, both axes logarithmic', 14, INK, weight='600'),
           f'<circle cx="{width - 250}" cy="22" r="4" fill="{OURS}"/>', text(width - 240, 26, 'picket-server', 12, INK)]
    if both['nomad']:
        out += [f'<circle cx="{width - 140}" cy="22" r="4" fill="{THEIRS}"/>', text(width - 130, 26, nomad_name, 12, INK)]
    for i, (key, title, unit) in enumerate(rows):
        series = {}
        for who, name in (('picket', 'Picket'), ('nomad', nomad_name)):
            points = [(n, both[who][n][key]) for n in sorted(both[who]) if both[who][n][key] > 0]
            if points:
                series[name] = points
        out += Panel(i, sizes, series, title, unit).draw()
    return '\n'.join(out + ['</svg>']) + '\n'
