"""The fast drawing behind `env.FastCarRacing`: stock CarRacing's view, straight at 64x64.

Stock gymnasium draws about 300 polygons into a 1000x800 window at every step, shrinks it to
96x96, and the world model keeps rows 0:84 of that at 64x64. Here the field is drawn once an
episode, at 3 pixels a unit of the world, with coarser copies for the zoom of the first second.
A frame is then one rotated look-up of 96x84 cells in that bitmap, the car's own polygons, and the
same 96x84 -> 64x64 shrinking as stock's frames get.
"""

import math

import cv2
import numpy as np
from gymnasium.envs.box2d import car_dynamics, car_racing

SCALE = 3  # bitmap pixels a world unit: a bilinear look-up then blurs as much as a 96x84 cell does
BLOCK = 100  # pixels: one period of the grass pattern, so every block has the same background
OVERSAMPLE = 2  # road blocks are drawn this much larger, then area-averaged
ROAD_TRIM = 0.05  # world units off each side of the road: cv2 fills wider than gfxdraw (measured)
LEVELS = 5  # bitmaps, each half the size of the one before
DARKENING = 2  # levels that pygame's smoothscale takes from every colour, black excepted
FIXED = 4  # fractional bits of the coordinates given to cv2

CELLS = (96, 84)  # width, height of stock's observation without its dashboard
CELL_SIZE = (car_racing.WINDOW_W / 96, car_racing.WINDOW_H / 96)  # in window pixels
CAR_CELLS = (slice(66, 78), slice(45, 51))  # rows, columns around the car, whose centre is fixed
CAR_CANVAS = (60, 96)  # those cells at 10x8 pixels each, so a canvas pixel is square
CANVAS_SCALE = 10 / CELL_SIZE[0]  # canvas pixels a window pixel, in both directions


def crop_and_resize(frame: np.ndarray) -> np.ndarray:
    """Stock's frame (96 or 84, 96, 3) uint8 -> (64, 64, 3): rows 0:84, then bilinear.

    The crop drops the dashboard (paper, appendix; reference carracing/env.py). At factors of 1.5
    and 1.3 every source pixel still has its part in the bilinear result.
    """
    return cv2.resize(frame[: CELLS[1]], (64, 64), interpolation=cv2.INTER_LINEAR)


def _shown(color) -> tuple[int, int, int, int]:
    """A colour as it looks after smoothscale; the fourth channel only makes cv2 faster."""
    return (*(max(int(value) - DARKENING, 0) for value in color), 255)


BLACK, WHITE = _shown(car_dynamics.WHEEL_COLOR), _shown(car_dynamics.WHEEL_WHITE)
HULL = (
    car_dynamics.HULL_POLY1,
    car_dynamics.HULL_POLY2,
    car_dynamics.HULL_POLY3,
    car_dynamics.HULL_POLY4,
)


class Renderer:
    """Draws the observation of one `CarRacing` environment."""

    def __init__(self):
        self._road = None  # the road that the bitmaps show
        self._levels = []  # level l: (2000 / 2**l, 2000 / 2**l, 4) uint8, row 0 at the lowest y
        self._background = None  # (BLOCK, BLOCK, 4)
        self._drawn_blocks = []  # slices of level 0 that hold road
        self._hull_zoom, self._hull, self._hull_mask = None, None, None

    def draw(self, env: car_racing.CarRacing) -> np.ndarray:
        """The observation (64, 64, 3) uint8 of the environment's present state."""
        if env.road is not self._road:
            self._draw_field(env)
        self._repaint_touched()
        hull = env.car.hull
        x, y = hull.position
        cosine, sine = math.cos(hull.angle), math.sin(hull.angle)
        near = min(env.t, 1.0)  # the camera closes in during the first second, as in stock
        zoom = car_racing.SCALE * (0.1 * (1 - near) + car_racing.ZOOM * near)
        cells = self._look_up(x, y, cosine, sine, zoom)  # (84, 96, 4)
        self._draw_car(cells, env.car, x, y, hull.angle, zoom)
        return crop_and_resize(cv2.cvtColor(cells, cv2.COLOR_RGBA2RGB))

    def _look_up(self, x, y, cosine, sine, zoom):
        """The field without the car, (84, 96, 4): each cell's centre looked up in the bitmap."""
        level = round(math.log2(SCALE * car_racing.ZOOM * car_racing.SCALE / zoom) - 1.585)
        level = min(max(level, 0), LEVELS - 1)
        scale = SCALE / 2**level
        # cell (i, j) lies at the window's (right, up) from the car, in world units
        width, height = CELL_SIZE[0] / zoom, CELL_SIZE[1] / zoom
        right, up = (0.5 - CELLS[0] / 2) * width, (72 - 0.5) * height
        matrix = np.array(
            [
                [cosine * width, sine * height, x + cosine * right - sine * up],
                [sine * width, -cosine * height, y + sine * right + cosine * up],
            ]
        )
        matrix[:, 2] += car_racing.PLAYFIELD
        matrix *= scale
        matrix[:, 2] -= 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self._levels[level], matrix, CELLS, flags=flags)

    def _draw_car(self, cells, car, x, y, angle, zoom):
        """Draw wheels and hull over `cells` (84, 96, 4), in place, at 10x8 pixels a cell."""
        canvas = cv2.resize(cells[CAR_CELLS], CAR_CANVAS, interpolation=cv2.INTER_NEAREST)
        cosine, sine = math.cos(angle), math.sin(angle)
        scale = zoom * CANVAS_SCALE
        half_width = scale * car_dynamics.WHEEL_W * car_dynamics.SIZE
        radius = scale * car_dynamics.WHEEL_R * car_dynamics.SIZE
        points, colors = [], []
        for wheel in car.wheels:
            position = wheel.position
            east, north = position[0] - x, position[1] - y
            # in canvas pixels, y downwards: the wheel's centre, its half axle, half its length
            u = CAR_CANVAS[0] / 2 + scale * (cosine * east + sine * north)
            v = CAR_CANVAS[1] / 2 - scale * (cosine * north - sine * east)
            turn = wheel.angle - angle
            cosine_turn, sine_turn = math.cos(turn), math.sin(turn)
            axle_u, axle_v = half_width * cosine_turn, -half_width * sine_turn
            long_u, long_v = -radius * sine_turn, -radius * cosine_turn
            for color, back, front in _stripes(wheel.phase):
                colors.append(color)
                front_u, front_v = u + front * long_u, v + front * long_v
                back_u, back_v = u + back * long_u, v + back * long_v
                points += (front_u - axle_u, front_v - axle_v, front_u + axle_u, front_v + axle_v)
                points += (back_u + axle_u, back_v + axle_v, back_u - axle_u, back_v - axle_v)
        polygons = _fixed(np.array(points)).reshape(-1, 4, 2)
        for color, polygon in zip(colors, polygons, strict=True):
            cv2.fillConvexPoly(canvas, polygon, color, cv2.LINE_8, FIXED)
        if zoom != self._hull_zoom:
            self._draw_hull(car, zoom)
        cv2.copyTo(self._hull, self._hull_mask, canvas)
        cells[CAR_CELLS] = cv2.resize(canvas, (6, 12), interpolation=cv2.INTER_AREA)

    def _draw_hull(self, car, zoom):
        """Draw the hull, which stands still in the picture, for the present zoom."""
        self._hull_zoom = zoom
        self._hull = np.zeros((CAR_CANVAS[1], CAR_CANVAS[0], 4), np.uint8)
        color = _shown([255 * value for value in car.hull.color])
        for polygon in HULL:
            pixels = np.array(polygon) * (car_dynamics.SIZE * zoom * CANVAS_SCALE) * (1, -1)
            pixels += np.array(CAR_CANVAS) / 2
            cv2.fillConvexPoly(self._hull, _fixed(pixels), color, cv2.LINE_8, FIXED)
        self._hull_mask = self._hull[..., 3].copy()

    def _draw_field(self, env):
        """Draw grass and road into the bitmaps, once an episode."""
        if not self._levels:
            self._make_bitmaps(env)
        field = self._levels[0]
        for block in self._drawn_blocks:
            field[block] = self._background
        self._drawn_blocks = []

        quads = np.array([polygon for polygon, _ in env.road_poly])  # (K, 4, 2): left, right twice
        across = quads[:, 1] - quads[:, 0], quads[:, 2] - quads[:, 3]
        for corner, sign, edge in ((0, 1, 0), (1, -1, 0), (2, -1, 1), (3, 1, 1)):
            length = np.linalg.norm(across[edge], axis=1, keepdims=True)
            length = np.maximum(length, 1e-9)  # a kerb may have none: one track in 75
            quads[:, corner] += sign * ROAD_TRIM * across[edge] / length
        quads = (quads + car_racing.PLAYFIELD) * SCALE
        colors = [_shown(color) for _, color in env.road_poly]

        first = ((quads.min(axis=1) - 1) // BLOCK).astype(int).tolist()
        last = ((quads.max(axis=1) + 1) // BLOCK).astype(int).tolist()
        members = {}  # (column, row) of a block -> its quads, in drawing order
        for k, ((left, low), (right, high)) in enumerate(zip(first, last, strict=True)):
            for column in range(left, right + 1):
                for row in range(low, high + 1):
                    members.setdefault((column, row), []).append(k)
        large = self._background.repeat(OVERSAMPLE, axis=0).repeat(OVERSAMPLE, axis=1)
        for (column, row), ks in members.items():
            canvas = large.copy()
            local = (quads[ks] - (column * BLOCK, row * BLOCK)) * OVERSAMPLE
            for k, polygon in zip(ks, _fixed(local), strict=True):
                cv2.fillConvexPoly(canvas, polygon, colors[k], cv2.LINE_8, FIXED)
            block = tuple(slice(BLOCK * n, BLOCK * (n + 1)) for n in (row, column))
            field[block] = cv2.resize(canvas, (BLOCK, BLOCK), interpolation=cv2.INTER_AREA)
            self._drawn_blocks.append(block)
        for fine, coarse in zip(self._levels, self._levels[1:], strict=False):
            cv2.resize(fine, coarse.shape[1::-1], dst=coarse, interpolation=cv2.INTER_AREA)
        self._watch_tiles(env, quads)

    def _make_bitmaps(self, env):
        side = round(2 * car_racing.PLAYFIELD * SCALE)
        patch = BLOCK // 2
        self._background = np.empty((BLOCK, BLOCK, 4), np.uint8)
        self._background[:] = _shown(env.bg_color)
        self._background[:patch, :patch] = _shown(env.grass_color)
        self._levels = [np.empty((side >> n, side >> n, 4), np.uint8) for n in range(LEVELS)]
        self._levels[0][:] = np.tile(self._background, (side // BLOCK, side // BLOCK, 1))

    def _watch_tiles(self, env, quads):
        """Gather the tiles' colours in one array: stock recolours each tile that the car touches.

        The colours become views into that array, so that one comparison a frame finds the changed
        ones; for stock's own drawing nothing changes.
        """
        self._road = env.road
        self._colors = np.array([tile.color for tile in env.road])
        self._painted = self._colors[:, 0].copy()
        own = {id(tile.color): index for index, tile in enumerate(env.road)}
        self._tile_quads = [None] * len(env.road)
        for k, (polygon, color) in enumerate(env.road_poly):
            index = own.get(id(color))
            if index is not None:
                env.road[index].color = self._colors[index]
                env.road_poly[k] = (polygon, self._colors[index])
                self._tile_quads[index] = quads[k]

    def _repaint_touched(self):
        present = self._colors[:, 0]
        changed = present != self._painted
        if not changed.any():
            return
        for index in np.flatnonzero(changed):
            quad = self._tile_quads[index]
            inner = quad + (quad.mean(axis=0) - quad) * 0.06  # cv2 fills half a pixel wider
            color = _shown(self._colors[index])
            cv2.fillConvexPoly(self._levels[0], _fixed(inner), color, cv2.LINE_8, FIXED)
        self._painted[:] = present


def _stripes(phase):
    """Of a wheel turned by `phase` (radians): colour and ends of its black and its white part."""
    yield BLACK, -1.0, 1.0
    sine1, sine2 = math.sin(phase), math.sin(phase + 1.2)
    if sine1 > 0 and sine2 > 0:
        return  # the mark is underneath
    end1, end2 = math.cos(phase), math.cos(phase + 1.2)
    if sine1 > 0:
        end1 = math.copysign(1.0, end1)
    if sine2 > 0:
        end2 = math.copysign(1.0, end2)
    yield WHITE, end1, end2


def _fixed(pixels):
    """Pixel coordinates, 0 at the edge of the first pixel -> cv2's, 0 at its centre, int32."""
    return np.rint((pixels - 0.5) * (1 << FIXED)).astype(np.int32)
