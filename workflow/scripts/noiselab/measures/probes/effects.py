"""Settings of a probe that change something only together with others."""

PENALTIES = ("none", "gradient_matching", "gradient_norm", "gradient_cosine")
NOISELESS = ("none", "gradient_norm")  # penalties in which there is no t̂


def without_effect(penalty: str, strength: float, radius: float, noisy_loss: bool) -> str | None:
    """Which of these would change nothing, and what it needs; None: none of them. Numbers: 0 or
    more."""
    if penalty == "none" and strength:
        return f"strength: {strength!r} of no penalty; choose a penalty: {', '.join(PENALTIES[1:])}"
    if penalty != "none" and not strength:
        return f"strength: {penalty} needs one above 0, found {strength!r}"
    noisy = noisy_loss or penalty not in NOISELESS
    if noisy and not radius:
        return f"radius: {'noisy_loss' if noisy_loss else penalty} needs one above 0, for its noise"
    if radius and not noisy:
        others = ", ".join(name for name in PENALTIES if name not in NOISELESS)
        return f"radius: {radius!r} of no noise; it is for {others} and noisy_loss"
    return None
