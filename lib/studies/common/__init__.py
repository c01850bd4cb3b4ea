"""What several studies share: frames, kinds of images, measures, costs."""
