from .curves import draw_curves as draw_curves
from .diagnosis_bars import draw_diagnosis as draw_diagnosis
from .draw import draw_all as draw_all
from .draw import every_picture as every_picture
from .heatmap import draw_heatmap as draw_heatmap
from .report import write_report as write_report
from .sweep_map import draw_map as draw_map
