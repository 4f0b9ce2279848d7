"""Whether a score is a defect, a picture is fit to judge, and a calibration still holds."""
