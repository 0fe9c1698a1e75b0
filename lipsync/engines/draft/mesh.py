"""Index groups of MediaPipe's 478-point face mesh that the draft engine steers by.

Both lip contours run from the mouth corner on the left of the picture along the lower lip to the
other corner and back along the upper lip.
"""

import numpy as np

# fmt: off
OUTER_LIP = (  # 20 points, closed contour
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)
INNER_LIP = (  # 20 points, closed contour
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)
_BETWEEN_UPPER = (  # inside the upper lip
    184, 183, 74, 42, 73, 41, 72, 38, 11, 12, 302, 268, 303, 271, 304, 272, 408, 407,
)
_BETWEEN_LOWER = (  # inside the lower lip
    77, 96, 90, 89, 180, 179, 85, 86, 16, 15, 315, 316, 404, 403, 320, 319, 307, 325,
)
CHIN = (  # jaw line and chin
    152, 148, 176, 149, 150, 136, 172, 377, 400, 378, 379, 365, 397, 199, 175, 200, 18, 83, 313,
    194, 418, 204, 424, 43, 273, 202, 422, 210, 430, 212, 432, 57, 287, 58, 288, 32, 262,
)
CHEEK = (  # cheeks and upper lip skin
    207, 427, 187, 411, 206, 426, 216, 436, 92, 322, 165, 391, 167, 393, 164, 213, 433, 147, 376,
    186, 410,
)
ANCHOR = (  # nose, cheek bones and temples: these stay where they are
    2, 98, 327, 129, 358, 5, 203, 423, 36, 266, 50, 280, 93, 323, 132, 361, 234, 454, 205, 425,
    117, 346, 123, 352,
)
# fmt: on

CORNERS = (OUTER_LIP[0], OUTER_LIP[10])
LOWER_LIP = (*OUTER_LIP[1:10], *INNER_LIP[1:10], *_BETWEEN_LOWER)
UPPER_LIP = (*OUTER_LIP[11:], *INNER_LIP[11:], *_BETWEEN_UPPER)
INNER_CORNERS = (INNER_LIP[0], INNER_LIP[10])

# every point the warp looks at, once each; the groups below are positions within this array
CONTROL = np.array(
    list(
        dict.fromkeys(
            (*OUTER_LIP, *INNER_LIP, *_BETWEEN_UPPER, *_BETWEEN_LOWER, *CHIN, *CHEEK, *ANCHOR)
        )
    )
)


def positions(points: tuple[int, ...]) -> np.ndarray:
    """Return where the mesh points stand within `CONTROL`."""
    place = {int(point): index for index, point in enumerate(CONTROL)}
    return np.array([place[point] for point in points])
