"""What is wrong with the texts of a picture."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def shown_texts(figure):
    """Every text that is drawn, with where: words, and left, bottom, right and top in pixels."""
    FigureCanvasAgg(figure).draw()
    hidden = set()
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        drawn = set(map(id, axis._update_ticks())) if axis.axes.axison else set()
        ticks = [tick for tick in (*axis.majorTicks, *axis.minorTicks) if id(tick) not in drawn]
        hidden |= {id(label) for tick in ticks for label in (tick.label1, tick.label2)}
    texts = [text for text in figure.findobj(Text) if text.get_visible() and id(text) not in hidden]
    return [(text.get_text(), text.get_window_extent().extents) for text in texts if text.get_text().strip()]


def inside_and_apart(figure, tolerance=1.0):
    """What is wrong with the texts of a figure: those beyond the paper's edge, and those that lie over each other."""
    texts = sorted(shown_texts(figure), key=lambda text: text[1][0])
    width, height = figure.canvas.get_width_height()
    faults = []
    for number, (words, (left, bottom, right, top)) in enumerate(texts):
        if min(left, bottom) < -tolerance or right > width + tolerance or top > height + tolerance:
            faults.append(f"{words!r} is beyond the edge")
        for other, (begin, low, _, high) in texts[number + 1 :]:
            if begin > right - tolerance:
                break
            if min(top, high) - max(bottom, low) > tolerance:
                faults.append(f"{words!r} lies over {other!r}")
    return faults
