"""Trained networks as ONNX graphs: made here, run here, whoever asks for one. onnx and onnxruntime are optional."""
